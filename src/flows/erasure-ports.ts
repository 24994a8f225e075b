/** What erasing needs from its stores. Every step may be taken again after a kill. Times are epoch ms. */
import type { ConsentRecord } from '../domain/consent.ts'
import type { Erasure, ErasureCertificate } from '../domain/erasure.ts'
import type { Subject } from '../domain/ledger.ts'
import type { QueuedBatch, SpentToken, WriteOutcome } from './ports.ts'

/** Rows by table. */
export type RowCounts = Readonly<Record<string, number>>
/** A batch of the subject that was found in the queue; `dead`: it had been given up. */
export interface FoundBatch { jobId: string, requestId: string, dead: boolean }

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
  /** Those to be worked on at `now`. */
  due: (now: number) => Promise<OpenErasure[]>
  /** Notes what a step found; what was noted before stays. */
  note: (id: string, step: 'before' | 'hidden' | 'late' | 'again', value: unknown) => Promise<void>
  batches: (id: string) => Promise<FoundBatch[]>
  addBatches: (id: string, batches: readonly FoundBatch[]) => Promise<void>
  noteRemaining: (id: string, batches: ErasureProgress['batches']) => Promise<void>
  /** Keeps the certificate, if there is none yet, and returns the one that is kept. */
  certify: (id: string, certificate: ErasureCertificate) => Promise<ErasureCertificate>
  /** Takes an erasure out of what is open; `againAt`: when to look once more. */
  close: (open: OpenErasure, againAt: number | undefined) => Promise<void>
}

export interface ErasureQueue {
  /** The batches of an erasure's subject that wait, are being stored or were given up, received until its time. */
  search: (erasure: Erasure) => Promise<FoundBatch[]>
  /** Which of these are still in the queue. */
  remaining: (batches: readonly FoundBatch[]) => Promise<FoundBatch[]>
  /** The batch that a job given up holds; undefined when it is given up no more. */
  readDead: (jobId: string) => Promise<QueuedBatch | undefined>
  remove: (jobId: string) => Promise<void>
}

export interface ErasureTable {
  /** Puts an erasure on record, with its certificate once it has one. */
  say: (erasure: Erasure, certificate: ErasureCertificate | undefined) => Promise<void>
  find: (id: string) => Promise<{ erasure: Erasure, certificate: ErasureCertificate | undefined } | undefined>
  /** Those on record without a certificate. */
  unfinished: () => Promise<Erasure[]>
  /** Rows of an erasure in each table that holds its subject: those that can be read, or all that lie in the files. */
  count: (erasure: Erasure, which: 'readable' | 'all') => Promise<RowCounts>
  /** Hides the rows from every reader at once. */
  hide: (erasure: Erasure) => Promise<void>
  /** Starts taking hidden rows out of the files, unless that is under way. */
  purge: () => Promise<void>
  /** Events of these requests that the writer dropped instead of storing them. */
  droppedOf: (requestIds: readonly string[], purpose: string | null) => Promise<number>
}
