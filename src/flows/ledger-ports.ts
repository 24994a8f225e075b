/** What verifying, checkpointing and rebuilding need from the stores. Times are epoch ms. */
import type { Checkpoint, PlacedHash } from '../domain/checkpoint.ts'
import type { ConsentRecord } from '../domain/consent.ts'
import type { Subject } from '../domain/ledger.ts'
import type { FiledEntry } from '../domain/ledger-check.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { PolicyEntry } from './ports.ts'

/** Reads the whole ledger as it is stored, a chunk at a time: what arrived twice may come twice. */
export interface LedgerScan {
  /** By subject, revision and id; all subjects, or one. */
  bySubject: (subject?: Subject) => AsyncIterable<readonly FiledEntry[]>
  /** A partition's entries by place, after `from` until `to`. */
  byPlace: (partition: number, from: number, to: number) => AsyncIterable<readonly PlacedHash[]>
  holds: (subject: Subject, revision: number, hash: string) => Promise<boolean>
  /** The furthest place of each partition. */
  furthest: () => Promise<LedgerHead>
}

export interface CheckpointTable {
  add: (checkpoint: Checkpoint) => Promise<void>
  all: () => Promise<Checkpoint[]>
}

/** Another place for the latest checkpoint. */
export interface CheckpointCopy {
  read: () => Promise<Checkpoint | undefined>
  write: (checkpoint: Checkpoint) => Promise<void>
}

export interface Tombstone { subject: Subject, erasedAt: number }

/** `at`: when it was taken, by the clock that put it in order with the others. */
export interface StatedPolicy extends PolicyEntry { at: number }

/** What tells the state beside the ledger, a chunk at a time. */
export interface History {
  /** When each erased subject was last erased. */
  tombstones: () => AsyncIterable<readonly Tombstone[]>
  /** The latest policy of each organisation. */
  policies: () => AsyncIterable<readonly StatedPolicy[]>
}

/** The state, as it is restored. Each step leaves alone what is not behind. */
export interface RestoredState {
  read: (subject: Subject) => Promise<ConsentRecord>
  /** Writes a record if it is still `before` that stands. */
  replace: (subject: Subject, before: ConsentRecord, after: ConsentRecord) => Promise<boolean>
  restorePolicy: (stated: StatedPolicy) => Promise<boolean>
  /** How many entries each partition is taken to have. */
  counts: () => Promise<LedgerHead>
  raiseCounts: (counts: LedgerHead) => Promise<void>
  /** Whether this state was whole once: false where it is new, or was lost. */
  isWhole: () => Promise<boolean>
  noteWhole: () => Promise<void>
}
