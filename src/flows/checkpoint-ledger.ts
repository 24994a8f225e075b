/** Signs how far the ledger is, so that an end that is cut off later shows. */
import { follow, followFrom, furthest, isCount, isSigned, signCheckpoint, type Checkpoint } from '../domain/checkpoint.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { CheckpointCopy, CheckpointTable, LedgerScan } from './ledger-ports.ts'
import type { LedgerProgress } from './ports.ts'

export interface CheckpointLedgerDeps {
  progress: LedgerProgress
  scan: Pick<LedgerScan, 'byPlace'>
  checkpoints: CheckpointTable
  checkpointCopy: CheckpointCopy
  /** HMAC of a text under the ledger's key, in hex. */
  seal: (text: string) => string
  /** A hash without a key. */
  digest: (text: string) => string
  onCheckpoint: (checkpoint: Checkpoint) => void
  now: () => number
  newId: () => string
}

export type CheckpointOutcome = 'made' | 'not_grown' | 'not_whole'

/** Makes a checkpoint if the ledger has grown since the last. One that misses entries gets none: it would bless the loss. */
export function makeCheckpointLedger (deps: CheckpointLedgerDeps): () => Promise<CheckpointOutcome> {
  const { scan, digest, checkpointCopy } = deps

  return async () => {
    const sequences = await deps.progress.caughtUp()
    if (!sequences.every(isCount)) return 'not_whole'
    const copy = await checkpointCopy.read()
    const known = [...await deps.checkpoints.all(), ...(copy === undefined || copy === 'unreadable' ? [] : [copy])]
    const last = furthest(known.filter(checkpoint => isSigned(checkpoint, deps.seal)))
    if (sequences.every((sequence, partition) => sequence === (last?.sequences[partition] ?? 0))) return 'not_grown'
    const digests = await digestsUntil(sequences, last)
    if (digests === undefined) return 'not_whole'
    const checkpoint = signCheckpoint({ checkpoint_id: deps.newId(), at: deps.now(), sequences, digests }, deps.seal)
    await deps.checkpoints.add(checkpoint)
    await checkpointCopy.write(checkpoint)
    deps.onCheckpoint(checkpoint)
    return 'made'
  }

  /** By partition; undefined where an entry is missing. */
  async function digestsUntil (sequences: LedgerHead, last: Checkpoint | undefined): Promise<string[] | undefined> {
    const digests: string[] = []
    for (const [partition, sequence] of sequences.entries()) {
      let followed = followFrom(last, partition)
      for await (const chunk of scan.byPlace(partition, followed.sequence, sequence)) {
        for (const placed of chunk) {
          const step = follow(followed, placed, digest)
          if (step.fault !== undefined) return undefined
          followed = step.followed
        }
      }
      if (followed.sequence !== sequence) return undefined
      digests.push(followed.digest)
    }
    return digests
  }
}
