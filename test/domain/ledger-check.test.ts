import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { follow, followFrom, isSigned, signCheckpoint } from '../../src/domain/checkpoint.ts'
import { emptyRecord, type Choices, type ChoiceState, type ConsentRecord } from '../../src/domain/consent.ts'
import { isAsTold, makeChainCheck, sealedText, type FiledEntry, type LedgerFault } from '../../src/domain/ledger-check.ts'
import { applyChanges, canonicalJson, previousStates, projectLedger, subjectKey, type Change, type Subject } from '../../src/domain/ledger.ts'

const seal = (text: string): string => createHmac('sha256', 'key of a test').update(text).digest('hex')
const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const partitionOf = (subject: string): number => subject.length % 16

const change: fc.Arbitrary<Change> = fc.record({
  deviceId: fc.constantFrom(null, 'pc', '__proto__'),
  purpose: fc.constantFrom('product_analytics', 'diagnostics'),
  decision: fc.constantFrom<ChoiceState>('granted', 'denied', 'cleared')
}).map(fields => ({ ...fields, scope: fields.deviceId === null ? 'account' : 'device' }))
const subjects: Subject[] = [{ kind: 'account', id: 'ada' }, { kind: 'account', id: 'bob' }, { kind: 'device', id: 'kiosk-7' }]
const story = fc.array(fc.record({ subject: fc.constantFrom(...subjects), change }), { minLength: 1, maxLength: 40 })

/** The ledger that a story leaves, in the order in which it is read. */
function write (steps: ReadonlyArray<{ subject: Subject, change: Change }>): FiledEntry[] {
  let ids = 0
  const records = new Map(subjects.map(subject => [subjectKey(subject), emptyRecord]))
  const sequences = new Map<number, number>()
  const written = steps.flatMap(({ subject, change }) => {
    const key = subjectKey(subject)
    const before = records.get(key)!
    const own: Change = subject.kind === 'account' ? change : { ...change, scope: 'device', deviceId: subject.id }
    const { record, entries } = applyChanges(subject, before, [own], { actor: 'user', verifiedBy: 'email', via: null, noticeVersion: null }, { now: 1, newId: () => `id-${String(++ids)}`, seal })
    records.set(key, record)
    const previous = previousStates(before, entries)
    return entries.map((entry, index): FiledEntry => {
      const partition = partitionOf(key)
      const sequence = (sequences.get(partition) ?? 0) + 1
      sequences.set(partition, sequence)
      return { subject: key, entry, isReadable: true, previous: previous[index]!, partition, sequence }
    })
  })
  return inOrder(written)
}

const inOrder = (ledger: readonly FiledEntry[]): FiledEntry[] => ledger.toSorted((a, b) =>
  a.subject === b.subject ? a.entry.revision - b.entry.revision || (a.entry.entry_id < b.entry.entry_id ? -1 : 1) : a.subject < b.subject ? -1 : 1)

function faultsOf (ledger: readonly FiledEntry[]): LedgerFault[] {
  const check = makeChainCheck({ seal, partitionOf })
  return ledger.flatMap(filed => check(filed).fault ?? [])
}

t.test('a ledger as it was written has no fault, however often its entries arrived', async () => {
  fc.assert(fc.property(story, fc.array(fc.nat()), (steps, again) => {
    const ledger = write(steps)
    const repeated = ledger.length === 0 ? [] : again.map(index => ledger[index % ledger.length]!)
    return faultsOf(inOrder([...ledger, ...repeated])).length === 0
  }))
})

t.test('what is sealed is the canonical form of all members but the hash', async () => {
  const text = fc.oneof(fc.string(), fc.constant(null))
  const via = fc.option(fc.record({ product: fc.string(), release: fc.integer(), device_id: text }))
  fc.assert(fc.property(story, fc.string(), text, via, (steps, purpose, version, via) => write(steps).every(({ entry }) => {
    const { hash: _, ...sealed } = { ...entry, purpose, notice_version: version, via }
    return sealedText({ ...sealed, hash: '' }) === canonicalJson(sealed)
  })))
})

t.test('whatever member of an entry is edited shows', async () => {
  const edits: Array<(filed: FiledEntry) => FiledEntry> = [
    ...(['entry_id', 'purpose', 'prev_hash', 'hash', 'actor', 'verified_by', 'notice_version'] as const).map(member =>
      (filed: FiledEntry): FiledEntry => ({ ...filed, entry: { ...filed.entry, [member]: 'forged' } })),
    ...(['effective_at', 'recorded_at'] as const).map(member => (filed: FiledEntry): FiledEntry => ({ ...filed, entry: { ...filed.entry, [member]: 7_777 } })),
    filed => ({ ...filed, entry: { ...filed.entry, decision: filed.entry.decision === 'granted' ? 'denied' : 'granted' } }),
    filed => ({ ...filed, entry: { ...filed.entry, account_id: 'mallory' } }),
    filed => ({ ...filed, entry: { ...filed.entry, via: { product: 'cad', release: 2026, device_id: null } } }),
    filed => ({ ...filed, partition: filed.partition + 1 }),
    filed => ({ ...filed, subject: 'a:zoe' }),
    filed => ({ ...filed, isReadable: false }),
    filed => ({ ...filed, previous: filed.previous === 'denied' ? 'granted' : 'denied' })
  ]
  fc.assert(fc.property(story, fc.nat(), fc.constantFrom(...edits), (steps, at, edit) => {
    const ledger = write(steps)
    if (ledger.length === 0) return true
    return faultsOf(inOrder(ledger.with(at % ledger.length, edit(ledger[at % ledger.length]!)))).length > 0
  }))
})

t.test('an entry removed shows, unless it was its subject\'s last', async () => {
  fc.assert(fc.property(story, fc.nat(), (steps, at) => {
    const ledger = write(steps)
    const removed = ledger[at % Math.max(1, ledger.length)]
    if (removed === undefined) return true
    const isLast = !ledger.some(({ subject, entry }) => subject === removed.subject && entry.revision > removed.entry.revision)
    const faults = faultsOf(ledger.filter(filed => filed !== removed))
    return isLast ? faults.length === 0 : faults[0] === 'revision_missing'
  }))
})

t.test('an entry that lies in the table under two places shows, whichever of them comes first', async () => {
  const moves: Array<(filed: FiledEntry) => FiledEntry> = [
    filed => ({ ...filed, sequence: 1_000_000 }),
    filed => ({ ...filed, sequence: 0 }),
    filed => ({ ...filed, sequence: 0, partition: filed.partition + 1 }),
    filed => ({ ...filed, previous: '' })
  ]
  fc.assert(fc.property(story, fc.nat(), fc.constantFrom(...moves), fc.boolean(), (steps, at, move, isFirst) => {
    const ledger = write(steps)
    if (ledger.length === 0) return true
    const index = at % ledger.length
    const pair = [ledger[index]!, move(ledger[index]!)]
    const faults = faultsOf([...ledger.slice(0, index), ...(isFirst ? pair.reverse() : pair), ...ledger.slice(index + 1)])
    return faults.some(fault => fault === 'place' || fault === 'chain')
  }))
})

t.test('places that do not rise with the revisions show, and one that is missing where there was one before', async t => {
  const [one, two, three] = say(emptyRecord, 'granted', 'denied', 'granted').filed as [FiledEntry, FiledEntry, FiledEntry]
  t.same(faultsOf([one, { ...two, sequence: 3 }, { ...three, sequence: 2 }]), ['place'])
  t.same(faultsOf([one, { ...two, sequence: 0 }, three]), ['place'])
  t.same(faultsOf([{ ...one, sequence: 0 }, { ...two, sequence: 0 }, { ...three, sequence: 7 }]), [], 'the first entries may be of before there were places')
})

t.test('a record that is not what its entries tell shows', async () => {
  fc.assert(fc.property(story, fc.nat(), (steps, at) => {
    const ledger = write(steps)
    if (ledger.length === 0) return true
    const check = makeChainCheck({ seal, partitionOf })
    const { subject } = ledger[at % ledger.length]!
    const own = ledger.filter(filed => filed.subject === subject)
    const choices = own.map(check).at(-1)!.choices!
    const record = projectLedger(own.map(({ entry }) => entry))
    const choice = { state: 'granted', since: 1, deniedUntil: 1, entry: '' } as const
    const other = (choices: Choices): Choices => Object.fromEntries(Object.entries(choices).map(([purpose, held]) => [purpose, { ...held, since: held.since - 1 }]))
    const edited = [{ ...record, account: { ...record.account, more: choice } }, { ...record, devices: { ...record.devices, more: { more: choice } } },
      { ...record, account: other(record.account), devices: Object.fromEntries(Object.entries(record.devices).map(([id, held]) => [id, other(held)])) }, emptyRecord]
    return isAsTold(record, choices) && !edited.some(record => isAsTold(record, choices))
  }))
})

/** Entries of one account, each of which was sealed. */
function say (from: ConsentRecord, ...decisions: ChoiceState[]): { record: ConsentRecord, filed: FiledEntry[] } {
  const changes = decisions.map(decision => ({ scope: 'account', deviceId: null, purpose: 'diagnostics', decision }) as const)
  const { record, entries } = applyChanges(subjects[0]!, from, changes, { actor: 'user', verifiedBy: 'email', via: null, noticeVersion: null }, { now: 1, newId: () => `id-${decisions.join()}`, seal })
  return { record, filed: entries.map(entry => ({ subject: 'a:ada', entry, isReadable: true, previous: '', partition: partitionOf('a:ada'), sequence: entry.revision })) }
}

t.test('a revision that was given out twice shows', async t => {
  t.same(faultsOf(inOrder([...say(emptyRecord, 'granted').filed, ...say(emptyRecord, 'denied').filed])), ['forked'])
})

t.test('an entry that follows another than the one before it shows', async t => {
  const { record, filed } = say(emptyRecord, 'granted')
  const { filed: next } = say(record, 'denied')
  t.same(faultsOf([...filed, ...next]), [])
  t.same(faultsOf([...say(emptyRecord, 'denied').filed, ...next]), ['chain'])
})

t.test('a digest is another when any hash before its place is', async () => {
  const digestOf = (hashes: readonly string[]): string => hashes.reduce((before, hash, index) => follow(before, { sequence: index + 1, entryId: '', hash }, digest).followed, followFrom(undefined, 0)).digest
  fc.assert(fc.property(fc.array(fc.string(), { minLength: 1 }), fc.nat(), (hashes, at) => digestOf(hashes) !== digestOf(hashes.with(at % hashes.length, 'another'))))
})

t.test('a digest is of all entries until its place, wherever following them began', async () => {
  fc.assert(fc.property(fc.array(fc.string(), { minLength: 1 }), fc.nat(), (hashes, cut) => {
    const placed = hashes.map((hash, index) => ({ sequence: index + 1, entryId: '', hash }))
    const from = (start: ReturnType<typeof followFrom>, entries: typeof placed): ReturnType<typeof followFrom> =>
      entries.reduce((before, next) => follow(before, next, digest).followed, start)
    const whole = from(followFrom(undefined, 0), placed)
    const at = cut % hashes.length
    const half = from(followFrom(undefined, 0), placed.slice(0, at))
    const checkpoint = signCheckpoint({ checkpoint_id: 'c', at: 1, sequences: [at], digests: [half.digest] }, seal)
    return from(followFrom(checkpoint, 0), placed.slice(at)).digest === whole.digest && isSigned(checkpoint, seal)
  }))
})

t.test('a place that is empty, or claimed by two, shows; one that arrived twice does not', async t => {
  const at = (sequence: number, hash: string) => ({ sequence, entryId: '', hash })
  const first = follow(followFrom(undefined, 0), at(1, 'a'), digest).followed
  t.equal(follow(first, at(2, 'b'), digest).fault, undefined)
  t.equal(follow(first, at(3, 'b'), digest).fault, 'sequence_missing')
  t.equal(follow(first, at(1, 'b'), digest).fault, 'forked')
  t.same(follow(first, at(1, 'a'), digest), { followed: first })
})

t.test('no member of a checkpoint can be changed', async t => {
  const checkpoint = signCheckpoint({ checkpoint_id: 'c', at: 1, sequences: [1, 2], digests: ['a', 'b'] }, seal)
  t.ok(isSigned(checkpoint, seal))
  for (const forged of [{ checkpoint_id: 'd' }, { at: 2 }, { sequences: [1, 3] }, { digests: ['a', 'c'] }, { signature: '' }]) t.notOk(isSigned({ ...checkpoint, ...forged }, seal))
})
