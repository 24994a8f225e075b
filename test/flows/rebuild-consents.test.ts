import { createHmac } from 'node:crypto'
import t from 'tap'
import { emptyRecord, type ChoiceState, type ConsentRecord } from '../../src/domain/consent.ts'
import type { FiledEntry } from '../../src/domain/ledger-check.ts'
import { applyChanges, subjectKey, type LedgerEntry, type Subject } from '../../src/domain/ledger.ts'
import type { LedgerScan, RestoredState } from '../../src/flows/ledger-ports.ts'
import { isBehind, rebuildConsents, type RebuildProgress } from '../../src/flows/rebuild-consents.ts'

const seal = (text: string): string => createHmac('sha256', 'key of a test').update(text).digest('hex')
const ada: Subject = { kind: 'account', id: 'ada' }
let ids = 0

function say (from: ConsentRecord, now: number, ...decisions: ChoiceState[]): { record: ConsentRecord, entries: LedgerEntry[] } {
  const changes = decisions.map(decision => ({ scope: 'account', deviceId: null, purpose: 'diagnostics', decision }) as const)
  return applyChanges(ada, from, changes, { actor: 'user', verifiedBy: 'email', via: null, noticeVersion: null }, { now, newId: () => `id-${String(++ids)}`, seal })
}

/** Rebuilds Ada's record from what a scan found of her, while Redis holds another and has entries that are on their way. */
async function rebuild (held: ConsentRecord | undefined, found: LedgerEntry[], waiting: LedgerEntry[], arrived: LedgerEntry[] = []): Promise<{ record: ConsentRecord | undefined, progress: RebuildProgress }> {
  let record = held
  const filed = (entries: LedgerEntry[]): FiledEntry[] => entries.map(entry => ({ subject: subjectKey(ada), entry, isReadable: true, previous: '', partition: 0, sequence: 1 }))
  const scan: Pick<LedgerScan, 'bySubject' | 'furthest' | 'reached'> = {
    async * bySubject (subject) { yield await Promise.resolve(filed(subject === undefined ? found : [...found, ...arrived])) },
    furthest: async () => await Promise.resolve([0]),
    reached: async counts => await Promise.resolve(counts)
  }
  const state: RestoredState = {
    read: async () => await Promise.resolve({ record, stored: '' }),
    async replace (_subject, _before, after) { record = after; return await Promise.resolve(true) },
    waiting: async () => await Promise.resolve(waiting),
    restorePolicy: async () => await Promise.resolve(false),
    counts: async () => await Promise.resolve([0]),
    raiseCounts: async () => { await Promise.resolve() },
    isWhole: async () => await Promise.resolve(true),
    noteWhole: async () => { await Promise.resolve() }
  }
  async function * nothing (): AsyncGenerator<never> { yield * await Promise.resolve([]) }
  const progress = await rebuildConsents({ scan, state, history: { tombstones: nothing, policies: nothing }, seal, onProgress: () => {} })
  return { record, progress }
}

const stateOf = (record: ConsentRecord | undefined): string | undefined => record?.account['diagnostics']?.state
const old = say(emptyRecord, 1, 'granted', 'denied', 'granted')

t.test('a denial that was made since Redis was lost is not undone, wherever it is by now', async t => {
  const fresh = say(emptyRecord, 2, 'denied')
  t.equal(stateOf((await rebuild(fresh.record, old.entries, fresh.entries)).record), 'denied', 'on its way')
  t.equal(stateOf((await rebuild(fresh.record, old.entries, [], fresh.entries)).record), 'denied', 'arrived since')
  t.equal(stateOf((await rebuild(fresh.record, old.entries, [])).record), 'denied', 'nowhere')
  const merged = (await rebuild(fresh.record, old.entries, fresh.entries)).record!
  t.equal(stateOf((await rebuild(merged, old.entries, fresh.entries)).record), 'denied', 'nor when it is done again')
})

t.test('a choice that was made while the ledger was read stands, whichever it is', async t => {
  for (const [before, decision] of [[['denied'], 'granted'], [['granted'], 'denied']] as const) {
    const told = say(emptyRecord, 1, ...before)
    const next = say(told.record, 2, decision)
    for (const [waiting, arrived] of [[next.entries, []], [[], next.entries], [next.entries, next.entries]]) {
      const { record, progress } = await rebuild(next.record, told.entries, waiting!, arrived)
      t.same(record, next.record)
      t.equal(progress.restored, 0)
    }
  }
})

t.test('a record that cannot be read is made again, with what is on its way', async t => {
  t.same((await rebuild(undefined, old.entries, [])).record, old.record)
  const next = say(old.record, 2, 'denied')
  t.same((await rebuild(undefined, old.entries, next.entries)).record, next.record)
})

t.test('a state that grows together with the ledger while the two are compared is not behind', async t => {
  const compare = async (countedMeanwhile: number): Promise<boolean> => {
    let counted = 5
    return await isBehind({
      scan: {
        async * bySubject () { yield await Promise.resolve([]) },
        furthest: async () => await Promise.resolve([6]),
        async reached () { counted += countedMeanwhile; return await Promise.resolve([6]) }
      },
      state: { isWhole: async () => await Promise.resolve(true), counts: async () => await Promise.resolve([counted]) } as unknown as RestoredState
    })
  }
  t.equal(await compare(1), false)
  t.equal(await compare(0), true, 'but one that stays where it was is')
})
