/** The whole ledger, or one subject's part, is held to what was sealed, to the state in Redis, and to its checkpoints. */
import { follow, followFrom, isCount, isSigned, type Checkpoint } from '../domain/checkpoint.ts'
import { subjectOf, type Subject } from '../domain/ledger.ts'
import { isAsTold, makeChainCheck, type ChainCheckTools, type Finding, type LedgerFault } from '../domain/ledger-check.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { CheckpointCopy, CheckpointTable, LedgerScan, RecordReader } from './ledger-ports.ts'
import type { LedgerProgress } from './ports.ts'

export interface VerifyLedgerDeps extends ChainCheckTools {
  progress: LedgerProgress
  scan: LedgerScan
  records: RecordReader
  checkpoints: CheckpointTable
  checkpointCopy: CheckpointCopy
  /** A hash without a key. */
  digest: (text: string) => string
  /** Makes a checkpoint, after all was found right. */
  checkpoint: () => Promise<unknown>
}

/** The first fault that was found, and where, as far as that can be said. */
export interface BadPlace {
  what: LedgerFault
  subject?: Subject
  revision?: number
  entryId?: string
  /** A place among all entries of a partition. */
  place?: { partition: number, sequence: number }
  checkpointId?: string
}

export interface LedgerVerdict {
  head: LedgerHead
  /** Entries that were looked at. */
  checked: number
  /** Those of before places were given: that none of their subjects vanished cannot be said. */
  unplaced: number
  firstBad: BadPlace | undefined
  checkpoints: { checked: number, ok: boolean }
}

/** Verifies what the ledger held when the call began. Throws `Unavailable` when that cannot be read. */
export type VerifyLedger = (subject?: Subject) => Promise<LedgerVerdict>

const subjectsPerComparison = 500

export function makeVerifyLedger (deps: VerifyLedgerDeps): VerifyLedger {
  const { progress, scan, digest } = deps

  return async subject => {
    const counted = await progress.caughtUp()
    const head = counted.map(count => isCount(count) ? count : 0)
    const bad: BadPlace[] = []
    // Only the first is told, so no more are kept.
    const report = (place: BadPlace): void => { if (bad.length === 0) bad.push(place) }
    const counts = await checkChains(subject, report)
    if (subject !== undefined) return { ...counts, head, firstBad: bad[0], checkpoints: { checked: 0, ok: true } }
    await checkCounts(counted, report)
    const checkpoints = await checkPlaces(head, report)
    if (bad.length === 0) await deps.checkpoint()
    return { ...counts, head, firstBad: bad[0], checkpoints }
  }

  /** Each subject's chain, and its end against the state. */
  async function checkChains (only: Subject | undefined, report: (place: BadPlace) => void): Promise<{ checked: number, unplaced: number }> {
    const check = makeChainCheck(deps)
    const counts = { checked: 0, unplaced: 0 }
    let ends: ChainEnd[] = []
    let end: ChainEnd | undefined = only === undefined ? undefined : { subject: only, key: '', revision: 0, hash: '', choices: undefined }
    for await (const chunk of scan.bySubject(only)) {
      for (const filed of chunk) {
        const { entry } = filed
        const { isRepeated, fault, choices } = check(filed)
        if (!isRepeated) {
          counts.checked++
          if (filed.sequence === 0) counts.unplaced++
        }
        const subject = subjectOf(entry)
        if (fault !== undefined) report({ what: fault, subject, revision: entry.revision, entryId: entry.entry_id })
        if (end !== undefined && end.key !== '' && end.key !== filed.subject) ends.push(end)
        end = { subject, key: filed.subject, revision: entry.revision, hash: entry.hash, choices }
      }
      if (ends.length < subjectsPerComparison) continue
      await compareEnds(ends, report)
      ends = []
    }
    await compareEnds(end === undefined ? ends : [...ends, end], report)
    return counts
  }

  /** The state is what the ledger tells. What made it must be in the ledger; it may have gone on since the ledger was read. */
  async function compareEnds (ends: readonly ChainEnd[], report: (place: BadPlace) => void): Promise<void> {
    const records = await Promise.all(ends.map(async ({ subject }) => (await deps.records.read(subject)).record))
    const ahead = ends.flatMap(({ subject, revision, hash, choices }, index) => {
      const record = records[index]
      const isEnd = record?.head === hash && record.revision === revision
      if (record === undefined || record.revision < revision || (isEnd && choices !== undefined && !isAsTold(record, choices))) {
        report({ what: 'state', subject, revision })
        return []
      }
      return isEnd ? [] : [{ subject, record }]
    })
    if (ahead.length === 0) return
    await progress.caughtUp()
    for (const { subject, record } of ahead) {
      if (record.revision > 0 && !await scan.holds(subject, record.revision, record.head)) report({ what: 'tail_missing', subject, revision: record.revision })
    }
  }

  /** That no place of a partition is empty, and that the entries are those that the checkpoints were made over. */
  async function checkPlaces (head: LedgerHead, report: (place: BadPlace) => void): Promise<LedgerVerdict['checkpoints']> {
    const bad = new Map<Checkpoint, LedgerFault>()
    // The copy first: what it holds lies in the table by then.
    const held = await deps.checkpointCopy.read()
    const copy = held === 'unreadable' ? undefined : held
    const stored = await deps.checkpoints.all()
    const isLost = copy !== undefined && !stored.some(({ checkpoint_id: id }) => id === copy.checkpoint_id)
    const checkpoints = isLost ? [...stored, copy] : stored
    if (isLost) bad.set(copy, 'checkpoint_broken')
    for (const checkpoint of checkpoints) {
      if (!isSigned(checkpoint, deps.seal)) bad.set(checkpoint, 'checkpoint_signature')
    }
    const good = checkpoints.filter(checkpoint => bad.get(checkpoint) !== 'checkpoint_signature')
    for (const partition of head.keys()) {
      for (const checkpoint of await checkPartition(partition, head[partition] ?? 0, good, report)) bad.set(checkpoint, 'checkpoint_broken')
    }
    for (const [checkpoint, what] of bad) report({ what, checkpointId: checkpoint.checkpoint_id })
    if (held === 'unreadable') report({ what: 'checkpoint_signature' })
    return { checked: checkpoints.length, ok: bad.size === 0 && held !== 'unreadable' }
  }

  /** An entry is counted by the step that writes it, so no place lies beyond a count that was read after it. */
  async function checkCounts (counted: LedgerHead, report: (place: BadPlace) => void): Promise<void> {
    const furthest = await scan.furthest()
    const isBeyond = (counts: LedgerHead): boolean => furthest.some((sequence, partition) => sequence > (counts[partition] ?? 0))
    const counts = isBeyond(counted) ? await progress.caughtUp() : counted
    for (const [partition, count] of counts.entries()) {
      const sequence = furthest[partition] ?? 0
      if (!isCount(count) || sequence > count) report({ what: 'count_behind', place: { partition, sequence } })
    }
  }

  /** The checkpoints that a partition does not bear out. */
  async function checkPartition (partition: number, last: number, checkpoints: readonly Checkpoint[], report: (place: BadPlace) => void): Promise<Checkpoint[]> {
    const sequenceOf = ({ sequences }: Checkpoint): number => sequences[partition] ?? 0
    const ahead = checkpoints.toSorted((a, b) => sequenceOf(a) - sequenceOf(b))
    const broken: Checkpoint[] = []
    let followed = followFrom(undefined, partition)
    const meet = (): void => {
      for (let next = ahead[0]; next !== undefined && sequenceOf(next) <= followed.sequence; next = ahead[0]) {
        ahead.shift()
        if (sequenceOf(next) < followed.sequence || next.digests[partition] !== followed.digest) broken.push(next)
      }
    }
    meet()
    for await (const chunk of scan.byPlace(partition, 0, last)) {
      for (const placed of chunk) {
        const expected = followed.sequence + 1
        const step = follow(followed, placed, digest)
        followed = step.followed
        if (step.fault === 'forked') report({ what: 'forked', entryId: placed.entryId, place: { partition, sequence: placed.sequence } })
        if (step.fault === 'sequence_missing') report({ what: 'sequence_missing', place: { partition, sequence: expected } })
        meet()
      }
    }
    if (followed.sequence < last) report({ what: 'sequence_missing', place: { partition, sequence: followed.sequence + 1 } })
    return [...broken, ...ahead]
  }
}

/** Where a subject's chain ends in ClickHouse; `key`: as it is filed, empty before any entry was seen. */
interface ChainEnd extends Pick<Finding, 'choices'> { subject: Subject, key: string, revision: number, hash: string }
