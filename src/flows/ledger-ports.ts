/** What verifying, checkpointing and rebuilding need from the stores. Times are epoch ms. */
import type { Checkpoint, PlacedHash } from '../domain/checkpoint.ts'
import type { ConsentRecord } from '../domain/consent.ts'
import type { LedgerEntry, Subject } from '../domain/ledger.ts'
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
  /** How far places go on from `counts`, by partition; one so far ahead that counting cannot have come there is left out. */
  reached: (counts: LedgerHead) => Promise<LedgerHead>
}

export interface CheckpointTable {
  add: (checkpoint: Checkpoint) => Promise<void>
  all: () => Promise<Checkpoint[]>
}

/** Another place for the latest checkpoint. */
export interface CheckpointCopy {
  read: () => Promise<Checkpoint | 'unreadable' | undefined>
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

/** A record, undefined where what is stored is none, and what is stored. */
export interface HeldRecord { record: ConsentRecord | undefined, stored: string }

export interface RecordReader {
  read: (subject: Subject) => Promise<HeldRecord>
}

/** The state, as it is restored. Each step leaves alone what is not behind. */
export interface RestoredState extends RecordReader {
  /** Writes a record if it is still `before` that stands. */
  replace: (subject: Subject, before: HeldRecord, after: ConsentRecord) => Promise<boolean>
  /** A subject's entries that are on their way to the ledger, the oldest first. */
  waiting: (subject: Subject) => Promise<LedgerEntry[]>
  restorePolicy: (stated: StatedPolicy) => Promise<boolean>
  /** How many entries each partition is taken to have: 0 where that is no count. */
  counts: () => Promise<LedgerHead>
  raiseCounts: (counts: LedgerHead) => Promise<void>
  /** Whether this state was whole once: false where it is new, or was lost. */
  isWhole: () => Promise<boolean>
  noteWhole: () => Promise<void>
}
