import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import { makeLedgerTable, type PlacedEntry } from '../../src/clickhouse/ledger-table.ts'
import { makePrivacyReader } from '../../src/clickhouse/privacy-reader.ts'
import { governingScope, type Catalog } from '../../src/domain/catalog.ts'
import { permissionFor, type Choice, type ConsentRecord } from '../../src/domain/consent.ts'
import type { LedgerHead } from '../../src/domain/ledger-head.ts'
import type { LedgerEntry } from '../../src/domain/ledger.ts'
import { lapsedSince, type Notice } from '../../src/domain/notice.ts'
import type { Clocks } from '../../src/domain/point-in-time.ts'
import { makeAnswerPrivacy } from '../../src/flows/answer-privacy.ts'
import { startClickHouse } from '../support/clickhouse.ts'
import { makePlaced } from '../support/placed-entry.ts'

const { client, reader: connection } = await startClickHouse(t)
const table = makeLedgerTable(client, 1000)
const reader = makePrivacyReader(connection)
const purposes = ['product_analytics', 'diagnostics']
const devices = ['pc-1', 'pc-2']
const start = Date.UTC(2026, 0, 1)
/** Histories take so long, and the material notice appears in the middle. */
const lengthMs = 1000
const notices: Notice[] = [{ version: '2', effectiveFrom: start + lengthMs / 2, material: true, purposes: ['diagnostics'], title: '', text: '', digest: '' }]
const catalog: Catalog = { ...await loadCatalog(join(import.meta.dirname, '../../schemas')), notices }
/** How far the ledger had come when a question was asked. */
let head: LedgerHead = []
const answer = makeAnswerPrivacy({ catalog, reader, progress: { caughtUp: async () => await Promise.resolve(head) }, now: () => start + 2 * lengthMs })

interface Step { subject: number, scope: 'account' | 'device', device: number, purpose: number, decision: LedgerEntry['decision'], recordedAfterMs: number, shiftMs: number, notice: string | null, twice: boolean }
const step: fc.Arbitrary<Step> = fc.record({
  subject: fc.nat(4),
  scope: fc.constantFrom('account', 'device'),
  device: fc.nat(1),
  purpose: fc.nat(1),
  decision: fc.constantFrom('granted', 'denied', 'cleared'),
  recordedAfterMs: fc.nat(100),
  shiftMs: fc.nat(400),
  notice: fc.constantFrom(null, '2', 'unheard-of'),
  twice: fc.boolean()
})
const clock = fc.option(fc.integer({ min: start - 100, max: start + lengthMs + 100 }), { nil: undefined })
const question: fc.Arbitrary<Clocks> = fc.record({ asOf: clock, knownAt: clock })

/** Subjects 0 to 2 are accounts; 3 and 4 are devices while nobody is signed in. A denial may reach back; anything else takes effect at once or a little later. */
function tell (steps: readonly Step[]): Array<{ entry: LedgerEntry, twice: boolean }> {
  const revisions = new Map<number, number>()
  let recordedAt = start
  return steps.map(({ subject, scope, device, purpose, decision, recordedAfterMs, shiftMs, notice, twice }) => {
    recordedAt += recordedAfterMs
    const revision = (revisions.get(subject) ?? 0) + 1
    revisions.set(subject, revision)
    const onDevice = subject > 2 || scope === 'device'
    const { entry } = makePlaced({
      account_id: subject > 2 ? null : `account-${String(subject)}`,
      device_id: subject > 2 ? devices[subject - 3]! : onDevice ? devices[device]! : null,
      scope: onDevice ? 'device' : 'account',
      purpose: purposes[purpose]!,
      decision,
      recorded_at: recordedAt,
      effective_at: decision === 'denied' ? recordedAt - shiftMs : recordedAt + shiftMs % 3,
      notice_version: notice,
      revision,
      hash: randomUUID()
    })
    return { entry, twice }
  })
}

/**
 * All of it lies in the table when a question is asked whose head holds the first `known`; returned are the entries
 * that an answer may tell of. The first is one of before entries had places.
 */
async function write (told: ReturnType<typeof tell>, known = told.length): Promise<LedgerEntry[]> {
  await client.command({ query: 'TRUNCATE TABLE consent_ledger' })
  const counts = Array.from({ length: 16 }, () => 0)
  head = [...counts]
  const placed = told.map(({ entry }, index): PlacedEntry => {
    if (index === known) head = [...counts]
    const partition = Number((entry.account_id ?? entry.device_id!).at(-1))
    const sequence = index === 0 ? 0 : counts[partition]! + 1
    counts[partition] = sequence
    return { entry, previous: '', partition, sequence }
  })
  if (known >= told.length) head = counts
  await table.insert(placed)
  await table.insert(placed.filter((_, index) => told[index]!.twice))
  return told.flatMap(({ entry }, index) => index === 0 || index < known ? [entry] : [])
}

const steps = fc.array(step, { maxLength: 40, size: 'max' })
const known = fc.oneof(fc.constant(40), fc.nat(40))

const isWithin = ({ asOf = Infinity, knownAt = Infinity }: Clocks) => (entry: LedgerEntry): boolean => entry.effective_at <= asOf && entry.recorded_at <= knownAt

/** The model: of each choice's entries within the clocks, the last one said. */
function modelOf (entries: readonly LedgerEntry[], clocks: Clocks): ConsentRecord {
  const record = { revision: 0, head: '', account: {} as Record<string, Choice>, devices: {} as Record<string, Record<string, Choice>>, erasedAt: 0 }
  for (const entry of entries.filter(isWithin(clocks))) {
    const choice: Choice = { state: entry.decision, since: entry.effective_at, deniedUntil: 0, entry: entry.entry_id, ...(entry.notice_version === null ? {} : { notice: entry.notice_version }) }
    if (entry.scope === 'account') record.account[entry.purpose] = choice
    else (record.devices[entry.device_id!] ??= {})[entry.purpose] = choice
  }
  return record
}

/** A choice as the answer must show it. */
function shown (choice: Choice | undefined, purpose: string, at: number): Record<string, unknown> {
  if (choice === undefined) return { state: 'absent', since: null, entryId: null, lapsed: false }
  const lapsedAt = lapsedSince(notices, purpose, choice, at)
  if (lapsedAt !== undefined) return { state: 'absent', since: lapsedAt, entryId: choice.entry, lapsed: true }
  return { state: choice.state === 'cleared' ? 'absent' : choice.state, since: choice.since, entryId: choice.entry, lapsed: false }
}

const shownAll = (choices: Record<string, Choice>, at: number) => Object.fromEntries(catalog.optionalPurposes.map(id => [id, shown(choices[id], id, at)]))
const ofAccount = (entries: readonly LedgerEntry[], id: string): LedgerEntry[] => entries.filter(entry => entry.account_id === id)

function expectedAccount (entries: readonly LedgerEntry[], accountId: string, clocks: Clocks): Record<string, unknown> {
  const at = clocks.asOf ?? start + 2 * lengthMs
  const record = modelOf(ofAccount(entries, accountId), clocks)
  return {
    accountId,
    account: shownAll(record.account, at),
    devices: Object.keys(record.devices).sort().map(deviceId => ({ deviceId, choices: shownAll(record.devices[deviceId]!, at) }))
  }
}

t.test('an account\'s choices at a moment, as known at a moment, are what a simple model says', async t => {
  await fc.assert(fc.asyncProperty(steps, known, fc.array(question, { minLength: 1, maxLength: 4 }), async (steps, known, questions) => {
    const entries = await write(tell(steps), known)
    for (const clocks of questions) {
      for (const accountId of ['account-0', 'account-1', 'never-heard-of']) {
        const { last, ...found } = await answer.account(accountId, clocks)
        t.match(found, expectedAccount(entries, accountId, clocks))
        t.same(Object.keys(found.account), catalog.optionalPurposes)
        t.equal(found.devices.length, (expectedAccount(entries, accountId, clocks)['devices'] as unknown[]).length)
        const latest = ofAccount(entries, accountId).filter(entry => entry.recorded_at <= (clocks.knownAt ?? Infinity)).at(-1)
        t.same(last, { revision: latest?.revision ?? 0, hash: latest?.hash ?? '' })
      }
    }
  }), { numRuns: 25 })
})

t.test('all accounts, page by page, are each account by itself', async t => {
  await fc.assert(fc.asyncProperty(steps, known, question, fc.integer({ min: 1, max: 4 }), async (steps, known, clocks, limit) => {
    const entries = await write(tell(steps), known)
    const heard = new Set(entries.filter(entry => entry.recorded_at <= (clocks.knownAt ?? Infinity)).flatMap(entry => entry.account_id ?? []))
    const found: unknown[] = []
    let place
    do {
      const page: Awaited<ReturnType<typeof answer.accounts>> = await answer.accounts(clocks, limit, place)
      found.push(...page.accounts)
      place = page.next
    } while (place !== undefined)
    t.strictSame(found, [...heard].sort().map(accountId => expectedAccount(entries, accountId, clocks)))
  }), { numRuns: 20 })
})

t.test('a check decides as intake would have, with what was in force and known', async t => {
  const product = fc.constantFrom({ product: 'cad', release: 2026 }, { product: 'cad', release: 2020 }, { product: 'cad', release: 1999 }, { product: 'nothing', release: 2026 })
  const asked = fc.record({ product, purpose: fc.constantFrom(...purposes, 'license_compliance'), deviceId: fc.constantFrom(undefined, ...devices), clocks: question })
  await fc.assert(fc.asyncProperty(steps, known, fc.array(asked, { minLength: 1, maxLength: 6 }), async (steps, known, questions) => {
    const entries = await write(tell(steps), known)
    const accountIds = ['account-1', 'account-0', 'never-heard-of', 'account-1', 'account-2']
    for (const { product: { product, release }, purpose: id, deviceId, clocks } of questions) {
      const checked = await answer.check({ purpose: id, product, release, accountIds, deviceId }, clocks)
      if (typeof checked === 'string') throw new Error(checked)
      const purpose = catalog.purposes.find(known => known.id === id)!
      const at = clocks.asOf ?? start + 2 * lengthMs
      const expected = accountIds.map(accountId => {
        const account = modelOf(ofAccount(entries, accountId), clocks)
        const deviceAlone = deviceId === undefined ? undefined : modelOf(entries.filter(entry => entry.account_id === null && entry.device_id === deviceId), clocks)
        const permission = permissionFor(purpose, { account, deviceId, deviceAlone, orgPolicy: {}, regionalDefault: 'denied' }, governingScope(catalog, product, release),
          choice => lapsedSince(notices, id, choice, at) !== undefined)
        return { accountId, allowed: permission.allowed, reason: permission.reason, ...(permission.allowed ? { entryId: permission.entry ?? undefined } : {}) }
      })
      t.match(checked.answers, expected)
      t.equal(checked.answers.length, accountIds.length)
      for (const { reason, entryId } of checked.answers) {
        if (reason === 'account_denied' || reason === 'device_denied') t.equal(entries.find(entry => entry.entry_id === entryId)?.decision, 'denied', 'a refusal names the denial')
      }
    }
  }), { numRuns: 25 })
})

t.test('every entry is found once, in the order of recording, whatever the size of the page', async t => {
  const filters = fc.record({
    account_id: fc.constantFrom(undefined, 'account-0'), device_id: fc.constantFrom(undefined, 'pc-1'), purpose: fc.constantFrom(undefined, 'diagnostics'),
    decision: fc.constantFrom(undefined, 'denied' as const), from: fc.constantFrom(undefined, start + 5), to: fc.constantFrom(undefined, start + 30)
  })
  await fc.assert(fc.asyncProperty(steps, known, filters, fc.integer({ min: 1, max: 7 }), async (steps, known, query, limit) => {
    const told = tell(steps.map(told => ({ ...told, recordedAfterMs: told.recordedAfterMs % 3 }))) // Several in one millisecond.
    const entries = await write(told, known)
    const expected = entries.filter(entry =>
      (query.account_id === undefined || entry.account_id === query.account_id) && (query.device_id === undefined || entry.device_id === query.device_id) &&
      (query.purpose === undefined || entry.purpose === query.purpose) && (query.decision === undefined || entry.decision === query.decision) &&
      (query.from === undefined || entry.recorded_at >= query.from) && (query.to === undefined || entry.recorded_at < query.to))
    const found: LedgerEntry[] = []
    let after
    do {
      const page: Awaited<ReturnType<typeof answer.ledger>> = await answer.ledger(query, limit, after)
      if (page.next !== undefined) t.equal(page.entries.length, limit)
      found.push(...page.entries)
      after = page.next
    } while (after !== undefined)
    const byId = (a: LedgerEntry, b: LedgerEntry): number => a.entry_id < b.entry_id ? -1 : 1
    t.strictSame([...found].sort(byId), [...expected].sort(byId))
    const places = found.map(entry => [entry.recorded_at, `${entry.account_id === null ? 'd' : 'a'}:${entry.account_id ?? entry.device_id!}`, entry.revision] as const)
    t.strictSame(places, places.toSorted(([time, subject, revision], [otherTime, otherSubject, otherRevision]) =>
      time - otherTime || (subject < otherSubject ? -1 : subject > otherSubject ? 1 : revision - otherRevision)))
  }), { numRuns: 25 })
})

t.test('of two entries that claim one revision the stricter is in force', async t => {
  await write([])
  const forked = ['granted', 'denied', 'granted'].map(decision => makePlaced({ decision: decision as 'granted', revision: 3, entry_id: randomUUID() }))
  await table.insert(forked)
  t.match(await answer.account('ada', { asOf: undefined, knownAt: undefined }), { account: { product_analytics: { state: 'denied', entryId: forked[1]!.entry.entry_id } } })
})
