import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { emptyRecord, type ChoiceState, type ConsentRecord } from '../../src/domain/consent.ts'
import { applyChanges, canonicalJson, projectLedger, subjectKey, subjectOf, type Change, type LedgerEntry, type Subject } from '../../src/domain/ledger.ts'

const seal = (text: string): string => createHmac('sha256', 'key of a test').update(text).digest('hex')
const context = { actor: 'user', verifiedBy: 'email', via: null, noticeVersion: '2026-05' } as const
const names = ['pc', '__proto__', 'constructor', 'hasOwnProperty']

const change: fc.Arbitrary<Change> = fc.record({
  deviceId: fc.constantFrom(null, ...names),
  purpose: fc.constantFrom('product_analytics', 'diagnostics', 'constructor'),
  decision: fc.constantFrom<ChoiceState>('granted', 'denied', 'cleared')
}).map(fields => ({ ...fields, scope: fields.deviceId === null ? 'account' : 'device' }))

/** What a person does over time: several changes at once, by a clock that may jump back. */
const story = fc.array(fc.record({ now: fc.integer({ min: 1, max: 1000 }), changes: fc.array(change, { maxLength: 5 }) }), { maxLength: 12 })

function tell (subject: Subject, steps: ReadonlyArray<{ now: number, changes: readonly Change[] }>): { record: ConsentRecord, entries: LedgerEntry[] } {
  let ids = 0
  let record = emptyRecord
  const entries: LedgerEntry[] = []
  for (const { now, changes } of steps) {
    const applied = applyChanges(subject, record, changes, context, { now, newId: () => `entry-${++ids}`, seal })
    record = applied.record
    entries.push(...applied.entries)
  }
  return { record, entries }
}

const ada: Subject = { kind: 'account', id: 'ada' }

t.test('folding the ledger gives the state', async () => {
  fc.assert(fc.property(story, steps => {
    const { record, entries } = tell(ada, steps)
    const stored = JSON.parse(JSON.stringify(entries)) as LedgerEntry[]
    // Compared as text: an object with a member named __proto__ is not what comparisons expect.
    return JSON.stringify(projectLedger(stored)) === JSON.stringify(record)
  }))
})

t.test('the state is what was said last, since when, and when its last denial ended', async () => {
  fc.assert(fc.property(story, steps => {
    const { record, entries } = tell(ada, steps)
    const told = new Map<string, LedgerEntry[]>()
    for (const entry of entries) {
      const at = JSON.stringify([entry.device_id, entry.purpose])
      told.set(at, [...told.get(at) ?? [], entry])
    }
    return [...told.values()].every(chain => {
      const last = chain.at(-1)!
      const choices = last.device_id === null ? record.account : record.devices[last.device_id]!
      const deniedUntil = chain.findLast((entry, index) => chain[index - 1]?.decision === 'denied' && entry.decision !== 'denied')?.effective_at ?? 0
      const notice = last.notice_version === null ? {} : { notice: last.notice_version }
      const expected = { state: last.decision, since: last.effective_at, deniedUntil, entry: last.entry_id, ...notice }
      return JSON.stringify(choices[last.purpose]) === JSON.stringify(expected)
    })
  }))
})

t.test('revisions have no holes, and each entry seals the one before it', async () => {
  fc.assert(fc.property(story, steps => {
    const { record, entries } = tell(ada, steps)
    return record.revision === entries.length && record.head === (entries.at(-1)?.hash ?? '') && entries.every((entry, index) => {
      const { hash, ...sealed } = entry
      return entry.revision === index + 1 && entry.prev_hash === (entries[index - 1]?.hash ?? '') && hash === seal(canonicalJson(sealed))
    })
  }))
})

t.test('effective times rise strictly and never reach back, even if the clock does', async t => {
  fc.assert(fc.property(story, steps => {
    const { entries } = tell(ada, steps)
    return entries.every((entry, index) => entry.effective_at >= entry.recorded_at && entry.effective_at > (entries[index - 1]?.effective_at ?? 0))
  }))
  const { entries } = tell(ada, [{ now: 900, changes: [grant('denied')] }, { now: 100, changes: [grant('granted')] }])
  t.match(entries, [{ effective_at: 900, recorded_at: 900 }, { effective_at: 901, recorded_at: 100 }])
})

t.test('an entry is written for a change only', async () => {
  fc.assert(fc.property(story, steps => {
    const stated = new Map<string, string>()
    return tell(ada, steps).entries.every(({ device_id, purpose, decision }) => {
      const at = JSON.stringify([device_id, purpose])
      const before = stated.get(at) ?? 'cleared'
      stated.set(at, decision)
      return before !== decision
    })
  }))
})

t.test('an edited, swapped or removed entry shows', async t => {
  const { entries } = tell(ada, [{ now: 1, changes: [grant('granted')] }, { now: 2, changes: [grant('denied')] }, { now: 3, changes: [grant('granted')] }])
  const isWhole = (chain: readonly LedgerEntry[]): boolean => chain.every(({ hash, ...sealed }, index) =>
    sealed.prev_hash === (chain[index - 1]?.hash ?? '') && hash === seal(canonicalJson(sealed)))
  const [first, second, third] = entries as [LedgerEntry, LedgerEntry, LedgerEntry]
  t.ok(isWhole(entries))
  t.notOk(isWhole([first, { ...second, decision: 'granted' }, third]))
  t.notOk(isWhole([first, { ...second, recorded_at: 1 }, third]))
  t.notOk(isWhole([second, first, third]))
  t.notOk(isWhole([first, third]))
})

t.test('the choices of an account and of a device of the same name are two chains', async t => {
  const device: Subject = { kind: 'device', id: 'ada' }
  t.not(subjectKey(ada), subjectKey(device))
  for (const subject of [ada, device]) {
    const { entries } = tell(subject, [{ now: 1, changes: [{ ...grant('granted'), scope: 'device', deviceId: 'ada' }] }])
    t.same(subjectOf(entries[0]!), subject)
  }
})

t.test('the sealed form is the same for the same content, whatever the order of its members', async t => {
  t.equal(canonicalJson({ b: [1, { d: null, c: 'é"\\' }], a: undefined, A: true }), '{"A":true,"b":[1,{"c":"é\\"\\\\","d":null}]}')
  const shuffle = (value: unknown): unknown => Array.isArray(value)
    ? value.map(shuffle)
    : typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).reverse().map(([key, member]) => [key, shuffle(member)])) : value
  fc.assert(fc.property(fc.jsonValue(), value => canonicalJson(value) === canonicalJson(shuffle(value))))
  fc.assert(fc.property(fc.jsonValue(), value => canonicalJson(JSON.parse(canonicalJson(value))) === canonicalJson(value)))
})

function grant (decision: ChoiceState): Change {
  return { scope: 'account', deviceId: null, purpose: 'product_analytics', decision }
}
