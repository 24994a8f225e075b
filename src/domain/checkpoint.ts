/** Checkpoints of the ledger: how many entries each partition held, and a digest over them, signed. */
import { canonicalJson } from './ledger.ts'
import type { LedgerHead } from './ledger-head.ts'

export interface Checkpoint {
  checkpoint_id: string
  /** Epoch ms. */
  at: number
  /** Entries by partition. */
  sequences: LedgerHead
  /** By partition, the digest of its entries until there. */
  digests: readonly string[]
  signature: string
}

type Seal = (text: string) => string

/** Signs a checkpoint. The prefix keeps what is signed here from ever passing for an entry. */
export function signCheckpoint (unsigned: Omit<Checkpoint, 'signature'>, seal: Seal): Checkpoint {
  return { ...unsigned, signature: signatureOf(unsigned, seal) }
}

export function isSigned (checkpoint: Checkpoint, seal: Seal): boolean {
  return checkpoint.signature === signatureOf(checkpoint, seal)
}

function signatureOf ({ checkpoint_id, at, sequences, digests }: Omit<Checkpoint, 'signature'>, seal: Seal): string {
  return seal(`checkpoint:${canonicalJson({ checkpoint_id, at, sequences, digests })}`)
}

/** The furthest of several, or undefined when there is none. */
export function furthest (checkpoints: readonly Checkpoint[]): Checkpoint | undefined {
  const reach = ({ sequences }: Checkpoint): number => sequences.reduce((sum, sequence) => sum + sequence, 0)
  return checkpoints.reduce<Checkpoint | undefined>((best, next) => best === undefined || reach(next) > reach(best) ? next : best, undefined)
}

/** An entry at its place in its partition. */
export interface PlacedHash { sequence: number, entryId: string, hash: string }

/** How far a partition was followed: the last place, the hash of its entry, and the digest of all until there. */
export interface Followed { sequence: number, hash: string, digest: string }

/** Where following a partition begins: at its start, or where a checkpoint left it. */
export function followFrom (checkpoint: Checkpoint | undefined, partition: number): Followed {
  return { sequence: checkpoint?.sequences[partition] ?? 0, hash: '', digest: checkpoint?.digests[partition] ?? '' }
}

/**
 * One entry further. Each digest is over the one before it and one hash, so that any place can be a checkpoint's and
 * the next goes on from there.
 */
export function follow (before: Followed, { sequence, hash }: PlacedHash, digestOf: (text: string) => string): { followed: Followed, fault?: 'sequence_missing' | 'forked' } {
  if (sequence === before.sequence) return before.hash === hash ? { followed: before } : { followed: before, fault: 'forked' }
  const followed = { sequence, hash, digest: digestOf(before.digest + hash) }
  return sequence === before.sequence + 1 ? { followed } : { followed, fault: 'sequence_missing' }
}

/** Whether a number can be how many entries there are: what Redis holds in its place may be anything. */
export function isCount (count: number): boolean {
  return Number.isSafeInteger(count) && count >= 0
}
