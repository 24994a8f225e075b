/** What erasing needs from its stores. Every step may be taken again after a kill. Times are epoch ms. */
import type { ConsentRecord } from '../domain/consent.ts'
import type { Erasure, ErasureCertificate } from '../domain/erasure.ts'
import type { Subject } from '../domain/ledger.ts'
import type { QueuedBatch, SpentToken, WriteOutcome } from './ports.ts'

/** Rows by table. */
export type RowCounts = Readonly<Record<string, number>>
/** Where a batch lies: a job may hold several, and a batch may move to another. */
export interface BatchPlace { jobId: string, requestId: string }

/**
 * A batch of the subject that was found in the queue; `dead`: it had been given up. `settled`: what becomes of one given
 * up whose other purposes stay: the erased part is gone from it, and is counted as a request of its own, `partId`, or it
 * is left since nobody can read it. `triedAt`: when a process began to read one given up, and has not ended doing so.
 */
export interface FoundBatch extends BatchPlace { dead: boolean, settled?: 'parted' | 'left', partId?: string, triedAt?: number }

/** How far an erasure is. What is not known yet is undefined. */
export interface ErasureProgress {
  erasure: Erasure
  /** Rows that the tables held when it began. */
  before: RowCounts | undefined
  /** Whether those were hidden. */
  hidden: boolean
  /** Rows that were on their way into the tables then. */
  late: RowCounts | undefined
  batches: { found: number, remaining: number }
  certificate: ErasureCertificate | undefined
  /** What a second look found. */
  again: { at: number, rows: RowCounts } | undefined
}

export interface OpenErasure extends ErasureProgress {
  /** Whether this is the second look, after it was done. */
  isAgain: boolean
  /** Where it stands in its outbox. */
  place: { partition: number, id: string }
}

export interface TombstoneStore {
  /**
   * Sets the tombstone of a subject, opens its erasure and spends the token that pays for it, in one atomic step, if the
   * subject's record is still `before`.
   */
  erase: (subject: Subject, before: ConsentRecord, erasure: Erasure, token?: SpentToken) => Promise<WriteOutcome>
}

export interface ErasureStore {
  /** Opens an erasure that needs no tombstone; one that is known already is left as it is. */
  open: (erasure: Erasure) => Promise<void>
  find: (id: string) => Promise<ErasureProgress | undefined>
  /** Those to be worked on: `new` for the first time, or for a second look at `now`. */
  due: (which: 'new' | 'again', now: number) => Promise<OpenErasure[]>
  /** Notes what a step found; what was noted before stays. */
  note: (id: string, step: 'before' | 'hidden' | 'late' | 'again', value: unknown) => Promise<void>
  batches: (id: string) => Promise<FoundBatch[]>
  /** Notes batches; of one that is known this replaces what was noted. */
  addBatches: (id: string, batches: readonly FoundBatch[]) => Promise<void>
  noteRemaining: (id: string, batches: ErasureProgress['batches']) => Promise<void>
  /** Keeps the certificate, if there is none yet, and returns the one that is kept. */
  certify: (id: string, certificate: ErasureCertificate) => Promise<ErasureCertificate>
  /** Takes an erasure out of what is open; `againAt`: when to look once more. */
  close: (open: OpenErasure, againAt: number | undefined) => Promise<void>
}

export interface ErasureQueue {
  /** For each erasure the batches of its subject that wait, are being stored or were given up, received until its time. */
  search: (erasures: readonly Erasure[]) => Promise<FoundBatch[][]>
  /** Which of these are still in the queue. */
  remaining: (batches: readonly FoundBatch[]) => Promise<FoundBatch[]>
  /** A batch that was given up; undefined when it is given up no more. */
  readDead: (place: BatchPlace) => Promise<QueuedBatch | undefined>
  /** Puts what is left of a batch given up in its place; false when it is given up no more. */
  replace: (place: BatchPlace, batch: QueuedBatch) => Promise<boolean>
  /** Removes a batch given up, and nothing else. */
  remove: (place: BatchPlace) => Promise<void>
}

export interface ErasureTable {
  /** Puts erasures on record, each with its certificate once it has one. */
  say: (told: ReadonlyArray<{ erasure: Erasure, certificate?: ErasureCertificate }>) => Promise<void>
  find: (id: string) => Promise<{ erasure: Erasure, certificate: ErasureCertificate | undefined } | undefined>
  /** Those on record without a certificate. */
  unfinished: () => Promise<Erasure[]>
  /** Rows of each erasure in each table that holds its subject: those that can be read, or all that lie in the files. */
  count: (erasures: readonly Erasure[], which: 'readable' | 'all') => Promise<RowCounts[]>
  /** Remembers the ids of the rows, and hides them from every reader at once. `rows`: what was counted. */
  hide: (found: ReadonlyArray<{ erasure: Erasure, rows: RowCounts }>) => Promise<void>
  /** Starts taking hidden rows out of the files of the tables in which some were counted, unless that is under way. */
  purge: (rows: RowCounts) => Promise<void>
  /** Events of these requests that the writer dropped instead of storing them. */
  droppedOf: (requestIds: readonly string[], purpose: string | null) => Promise<number>
}
