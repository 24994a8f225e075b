import { createHmac } from 'node:crypto'
import t from 'tap'
import { emptyRecord, type ChoiceState, type ConsentRecord } from '../../src/domain/consent.ts'
import { applyChanges, projectLedger, type LedgerEntry, type Subject } from '../../src/domain/ledger.ts'
import { sealedText } from '../../src/domain/ledger-check.ts'
import { restoreRecord, tellRecord, type Told } from '../../src/domain/restored-record.ts'

const seal = (text: string): string => createHmac('sha256', 'key of a test').update(text).digest('hex')
const ada: Subject = { kind: 'account', id: 'ada' }
let ids = 0

/** Says one thing after another about purposes, from a record on. */
function say (from: ConsentRecord, now: number, ...choices: Array<[purpose: string, decision: ChoiceState]>): { record: ConsentRecord, entries: LedgerEntry[] } {
  const changes = choices.map(([purpose, decision]) => ({ scope: 'account', deviceId: null, purpose, decision }) as const)
  return applyChanges(ada, from, changes, { actor: 'user', verifiedBy: 'email', via: null, noticeVersion: null }, { now, newId: () => `id-${String(++ids)}`, seal })
}

const tell = (...entries: LedgerEntry[]): Told => tellRecord(
  entries.toSorted((a, b) => a.revision - b.revision || (a.entry_id < b.entry_id ? -1 : 1)).map(entry => ({ entry, isSealed: seal(sealedText(entry)) === entry.hash })))
const states = ({ account }: ConsentRecord): Record<string, string> => Object.fromEntries(Object.entries(account).map(([purpose, { state }]) => [purpose, state]))

t.test('a chain that is whole tells what folding it tells, also where entries arrived twice', async t => {
  const { entries } = say(emptyRecord, 1, ['a', 'granted'], ['b', 'denied'], ['a', 'denied'], ['a', 'granted'])
  const whole = { record: projectLedger(entries), heads: new Set(['', ...entries.map(({ hash }) => hash)]), isForked: false, isDoubtful: false }
  t.same(tell(...entries), whole)
  t.same(tell(...entries, ...entries), whole)
})

t.test('of two branches the stricter counts for each choice', async t => {
  const common = say(emptyRecord, 1, ['a', 'granted'], ['b', 'granted'])
  const lost = say(common.record, 2, ['a', 'denied'])
  const after = say(common.record, 3, ['b', 'denied'], ['c', 'granted'])
  const told = tell(...common.entries, ...lost.entries, ...after.entries)
  t.match(told, { isForked: true, isDoubtful: false, record: { revision: 4, head: after.record.head } })
  t.same(states(told.record), { a: 'denied', b: 'denied', c: 'granted' })
})

t.test('what was said since both branches were brought together counts as it was said', async t => {
  const common = say(emptyRecord, 1, ['a', 'granted'])
  const lost = say(common.record, 2, ['a', 'denied'], ['b', 'granted'])
  const after = say(common.record, 3, ['b', 'denied'])
  const together = restoreRecord(after.record, tell(...common.entries, ...lost.entries, ...after.entries))
  t.same(states(together), { a: 'denied', b: 'denied' })
  const since = say(together, 4, ['a', 'granted'])
  const told = tell(...common.entries, ...lost.entries, ...after.entries, ...since.entries)
  t.match(told, { isForked: true, record: { revision: 4 } })
  t.same(restoreRecord(since.record, told), since.record)
  t.same(states(told.record), { a: 'granted', b: 'denied' })
})

t.test('a state that is not behind is left alone, and one whose branch is as long takes over the other\'s denials', async t => {
  const common = say(emptyRecord, 1, ['a', 'granted'])
  const one = say(common.record, 2, ['a', 'denied'])
  const other = say(common.record, 3, ['b', 'granted'])
  const told = tell(...common.entries, ...one.entries, ...other.entries)
  t.same(states(restoreRecord(other.record, told)), { a: 'denied', b: 'granted' })
  t.equal(restoreRecord(other.record, told).head, other.record.head)
  t.same(restoreRecord(one.record, tell(...common.entries, ...one.entries)), one.record)
  t.same(restoreRecord(emptyRecord, told), told.record)
})

t.test('an erasure is kept, whichever side knows of it', async t => {
  const { record, entries } = say(emptyRecord, 1, ['a', 'granted'])
  t.equal(restoreRecord({ ...emptyRecord, erasedAt: 9 }, tell(...entries)).erasedAt, 9)
  t.same(restoreRecord({ ...record, erasedAt: 9 }, tell(...entries)), { ...record, erasedAt: 9 })
})

t.test('a record whose head the ledger does not tell of keeps its denials, however far the ledger reaches', async t => {
  const lost = say(emptyRecord, 1, ['a', 'granted'], ['a', 'denied'], ['a', 'granted'])
  const fresh = say(emptyRecord, 2, ['a', 'denied'], ['b', 'granted'])
  const together = restoreRecord(fresh.record, tell(...lost.entries))
  t.same(states(together), { a: 'denied', b: 'granted' })
  t.match(together, { revision: 3, head: lost.record.head })
  const unsaid = say(lost.record, 3, ['b', 'denied'])
  t.match(restoreRecord(unsaid.record, tell(...lost.entries)), { revision: 4, head: unsaid.record.head })
  t.same(states(restoreRecord(unsaid.record, tell(...lost.entries))), { a: 'granted', b: 'denied' })
})

t.test('a record that is not what its entries tell becomes that; where they are in doubt, the stricter of both', async t => {
  const { record, entries } = say(emptyRecord, 1, ['a', 'denied'], ['b', 'granted'])
  const edited = { ...record, account: { ...record.account, a: { ...record.account['a']!, state: 'granted' as const } } }
  t.same(restoreRecord(edited, tell(...entries)), record)
  const { b } = record.account
  const denied = { ...record, account: { ...record.account, b: { ...b!, state: 'denied' as const }, c: b! } }
  t.same(restoreRecord(denied, tell(...entries)), record, 'also where it was edited to be stricter')
  t.same(states(restoreRecord(denied, tell({ ...entries[0]!, decision: 'granted' }, entries[1]!)))['b'], 'denied')
  const forged = entries.with(0, { ...entries[0]!, decision: 'granted', notice_version: 'forged' })
  t.same(states(restoreRecord(edited, tell(...forged))), { a: 'denied', b: 'granted' })
  t.same(states(restoreRecord(record, tell({ ...entries[0]!, decision: 'granted' }, entries[1]!))), { a: 'denied', b: 'granted' })
})

t.test('an entry that was edited counts as a denial, and a grant from before it is not believed', async t => {
  const { entries } = say(emptyRecord, 1, ['a', 'granted'], ['b', 'denied'], ['c', 'granted'])
  const forged = entries.with(1, { ...entries[1]!, decision: 'granted' })
  const told = tell(...forged)
  t.ok(told.isDoubtful)
  t.same(states(told.record), { a: 'denied', b: 'denied', c: 'granted' })
  t.same(states(tell(...entries, forged[1]!).record), { a: 'granted', b: 'denied', c: 'granted' }, 'unless the true one is there as well')
})

t.test('where an entry is gone, no grant from before it is believed', async t => {
  const { record, entries } = say(emptyRecord, 1, ['a', 'granted'], ['a', 'denied'], ['b', 'granted'])
  const told = tell(entries[0]!, entries[2]!)
  t.match(told, { isDoubtful: true, record: { revision: 3, head: record.head } })
  t.same(states(told.record), { a: 'denied', b: 'granted' })
})
