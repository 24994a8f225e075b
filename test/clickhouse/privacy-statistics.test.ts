import fc from 'fast-check'
import t from 'tap'
import { makeLedgerTable, type PlacedEntry } from '../../src/clickhouse/ledger-table.ts'
import { makePrivacyStatistics } from '../../src/clickhouse/privacy-statistics.ts'
import { startOf, startsIn, wholeIntervals, type Interval } from '../../src/domain/calendar.ts'
import type { Catalog } from '../../src/domain/catalog.ts'
import { lapsedSince, type Notice } from '../../src/domain/notice.ts'
import { makeAnswerStatistics } from '../../src/flows/answer-statistics.ts'
import { startClickHouse } from '../support/clickhouse.ts'
import { makePlaced } from '../support/placed-entry.ts'

const { client, reader } = await startClickHouse(t)
const table = makeLedgerTable(client, 1000)
const purposes = ['diagnostics', 'personalization']
let head: number[] = []
const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 29, 12)
const publish = (version: string, day: number, about: Partial<Notice> = {}): Notice =>
  ({ version, effectiveFrom: start + day * dayMs, material: true, purposes: null, title: '', text: '', digest: '', ...about })
/** The last is of a time to come. */
const notices = [publish('1', 5), publish('2', 10, { purposes: ['personalization'] }), publish('3', 15, { material: false }), publish('4', 20), publish('5', 50)]
const now = start + 45 * dayMs
const answer = makeAnswerStatistics({
  catalog: { purposes: purposes.map(id => ({ id })), notices } as unknown as Catalog,
  now: () => now,
  progress: { caughtUp: async () => await Promise.resolve(head) },
  statistics: makePrivacyStatistics(reader),
  queueBooks: { pendingAndDead: async () => await Promise.resolve({ pending: 0, dead: 0, dropped: 0, rejected: 0, requestIds: [] }) }
})

const step = fc.record({
  subject: fc.nat(3), onDevice: fc.boolean(), purpose: fc.constantFrom(...purposes), decision: fc.constantFrom('granted' as const, 'denied' as const, 'cleared' as const),
  afterMs: fc.nat(3 * dayMs), notice: fc.constantFrom(null, '1', '3', '4', 'unheard-of'), twice: fc.boolean()
})

/** Subject 3 is a device while nobody is signed in. What would change nothing is left out, as the service leaves it out. */
function tell (steps: ReadonlyArray<(typeof step) extends fc.Arbitrary<infer Step> ? Step : never>): Array<PlacedEntry & { twice: boolean }> {
  const states = new Map<string, string>()
  const revisions = new Map<number, number>()
  let at = start
  return steps.flatMap(({ subject, onDevice: asksDevice, purpose, decision, afterMs, notice, twice }) => {
    at += afterMs
    const onDevice = asksDevice || subject === 3
    const key = `${String(subject)} ${String(onDevice)} ${purpose}`
    const previous = states.get(key) ?? 'absent'
    if (previous === decision || (previous === 'absent' && decision === 'cleared')) return []
    states.set(key, decision)
    const revision = (revisions.get(subject) ?? 0) + 1
    revisions.set(subject, revision)
    const account = subject === 3 ? null : `account-${String(subject)}`
    return [{ ...makePlaced({ account_id: account, device_id: onDevice ? 'pc-1' : null, scope: onDevice ? 'device' : 'account', purpose, decision, recorded_at: at, effective_at: at, notice_version: notice, revision, previous }), twice }]
  })
}

t.test('states at the end of each interval, and its changes, are what following every choice gives', async t => {
  await fc.assert(fc.asyncProperty(
    fc.array(step, { maxLength: 40, size: 'max' }), fc.constantFrom<Interval>('day', 'week', 'month'), fc.constantFrom('account' as const, 'device' as const), fc.integer({ min: -10, max: 60 }), fc.integer({ min: 0, max: 60 }), fc.oneof(fc.constant(40), fc.nat(40)),
    async (steps, interval, scope, offsetDays, lengthDays, known) => {
      const told = tell(steps)
      await client.command({ query: 'TRUNCATE TABLE consent_ledger' })
      // All of it lies in the table when the question is asked whose head holds the first of it.
      const placed = told.map(({ entry, previous }, index): PlacedEntry => ({ entry, previous, partition: 3, sequence: index + 1 }))
      head = [0, 0, 0, Math.min(known, told.length)]
      await table.insert(placed)
      await table.insert(placed.filter((_, index) => told[index]!.twice))
      const from = start + offsetDays * dayMs
      const to = from + lengthDays * dayMs
      const found = await answer.consents('diagnostics', scope, interval, { from, to })
      if (typeof found === 'string') throw new Error(found)

      const entries = told.slice(0, known).map(({ entry }) => entry)
      const span = wholeIntervals(interval, { from, to })
      const starts = startsIn(interval, { from, to })
      const expected = starts.map((begin, index) => {
        const end = starts[index + 1] ?? span.to
        const then = entries.filter(entry => entry.recorded_at < end)
        const asked = then.filter(entry => entry.purpose === 'diagnostics' && entry.scope === scope)
        const isLapsed = ({ decision: state, effective_at: since, notice_version: notice }: typeof asked[number]): boolean =>
          lapsedSince(notices, 'diagnostics', { state, since, ...(notice === null ? {} : { notice }) }, Math.min(end - 1, now)) !== undefined
        const states = new Map(asked.map(entry => [`${String(entry.account_id)} ${String(entry.device_id)}`, isLapsed(entry) ? 'lapsed' : entry.decision]))
        const count = (decision: string): number => [...states.values()].filter(state => state === decision).length
        const known = scope === 'account' ? new Set(then.flatMap(entry => entry.account_id ?? [])).size : states.size
        const changed = asked.filter(entry => entry.recorded_at >= begin)
        const changes = Object.fromEntries(['granted', 'denied', 'cleared'].map(decision => [decision, changed.filter(entry => entry.decision === decision).length]))
        return { start: begin, granted: count('granted'), denied: count('denied'), absent: known - count('granted') - count('denied'), lapsed: count('lapsed'), changes }
      })
      t.strictSame(found.series, expected)
    }), { numRuns: 40 })
})

t.test('intervals begin where a calendar says', async t => {
  const at = Date.parse('2026-03-01T23:59:59.999Z')
  t.equal(startOf('day', at), Date.parse('2026-03-01'))
  t.equal(startOf('week', at), Date.parse('2026-02-23'), 'a Sunday belongs to the week before')
  t.equal(startOf('week', at + 1), Date.parse('2026-03-02'))
  t.equal(startOf('month', at), Date.parse('2026-03-01'))
  t.strictSame(startsIn('month', { from: Date.parse('2025-11-15'), to: Date.parse('2026-03-02') }).map(start => new Date(start).toISOString().slice(0, 7)), ['2025-11', '2025-12', '2026-01', '2026-02', '2026-03'])
  t.strictSame(wholeIntervals('week', { from: at, to: at + 1 }), { from: Date.parse('2026-02-23'), to: Date.parse('2026-03-02') })
})
