/** What exports and receipts need from the edges. */
import type { ExportState, ExportSum, LedgerExport, LedgerQuery } from '../domain/export.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { LedgerEntry, Subject } from '../domain/ledger.ts'
import type { QueuedBatch, SpentToken } from './ports.ts'

export interface LedgerPages {
  /** Every entry up to a head that a query asks for, each once, always in the same order; a page is never empty. */
  pages: (query: LedgerQuery, head: LedgerHead) => AsyncIterable<LedgerEntry[]>
  /** An entry of anyone, or of `subject`, with the state that it ended; undefined when there is none. */
  find: (entryId: string, subject?: Subject) => Promise<{ entry: LedgerEntry, previous: string } | undefined>
}

/** What the tables hold of an account, as it is shown; a page is never empty. */
export interface HeldRecords {
  stored: (accountRef: string) => AsyncIterable<Array<Record<string, unknown>>>
  /** Events that could not be stored and wait for someone to look at them. */
  setAside: (accountRef: string) => AsyncIterable<Array<Record<string, unknown>>>
  /** What was erased of the account, with the certificates. */
  erasures: (accountId: string) => Promise<Array<Record<string, unknown>>>
  /** What the privacy team asked that names the account, and why; not who of them asked. */
  teamCalls: (accountId: string) => AsyncIterable<Array<Record<string, unknown>>>
}

export interface HeldBatches {
  /** An account's batches that are not stored yet; `dead`: they were given up. */
  of: (accountId: string) => AsyncIterable<Array<{ batch: QueuedBatch, dead: boolean }>>
}

/** SHA-256 of what it was fed, in hex. */
export interface Digest { update: (bytes: string | Uint8Array) => void, hex: () => string }

export interface ExportStore {
  /** Resolves once the export is durable and will be computed. */
  start: (ledgerExport: LedgerExport) => Promise<void>
  find: (id: string) => Promise<{ ledgerExport: LedgerExport, state: ExportState } | undefined>
  noteProgress: (id: string, rowsDone: number) => Promise<void>
  finish: (id: string, sum: ExportSum) => Promise<void>
  fail: (id: string) => Promise<void>
  /** Ids of exports that are to be computed, the oldest first. */
  waiting: () => Promise<Array<{ id: string, done: () => Promise<void> }>>
}

/** A person's export of what is held about them. Times are epoch ms. */
export interface OwnExport { id: string, createdAt: number, expiresAt: number }

export interface OwnExportStore {
  /** Keeps the export and spends the token that pays for it in one atomic step. */
  start: (accountId: string, ownExport: OwnExport, token: SpentToken | undefined) => Promise<'written' | 'spent' | 'superseded'>
  find: (accountId: string, id: string) => Promise<OwnExport | undefined>
}
