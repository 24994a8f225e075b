/** Exports of the ledger: each is a question bounded by a ledger head, so that its answer can be computed again. */
import type { LedgerHead } from './ledger-head.ts'
import type { LedgerEntry } from './ledger.ts'

export const exportFormats = ['ndjson', 'csv', 'parquet'] as const
export type ExportFormat = typeof exportFormats[number]

/** Which entries are asked for; every member narrows. `from` and `to` bound `recorded_at`, epoch ms, `to` left out. */
export interface LedgerQuery {
  account_id?: string | undefined
  device_id?: string | undefined
  purpose?: string | undefined
  decision?: LedgerEntry['decision'] | undefined
  from?: number | undefined
  to?: number | undefined
}

/** What determines every byte of an export, and who asked for it when (epoch ms). */
export interface LedgerExport {
  id: string
  format: ExportFormat
  query: LedgerQuery
  head: LedgerHead
  createdBy: string
  createdAt: number
}

/** What an export came to. `sha256`: of its bytes, hex. */
export interface ExportSum { rows: number, bytes: number, sha256: string }

export type ExportState = { status: 'running', rowsDone: number } | { status: 'ready', sum: ExportSum } | { status: 'failed', rowsDone: number }

/** Writes a file of entries piece by piece; each piece follows the one before. */
export interface LedgerFile {
  begin: () => Uint8Array
  page: (entries: readonly LedgerEntry[]) => Uint8Array
  end: () => Uint8Array
}

/** A member of an entry as a cell: null where it has none. */
export interface LedgerColumn { name: string, kind: 'text' | 'time' | 'number', read: (entry: LedgerEntry) => string | number | null }

const text = (name: string, read: (entry: LedgerEntry) => string | null): LedgerColumn => ({ name, kind: 'text', read })

/** The columns of an export that has columns, in their order. Times are epoch ms. */
export const ledgerColumns: readonly LedgerColumn[] = [
  text('entry_id', entry => entry.entry_id),
  text('account_id', entry => entry.account_id),
  text('device_id', entry => entry.device_id),
  text('scope', entry => entry.scope),
  text('purpose', entry => entry.purpose),
  text('decision', entry => entry.decision),
  { name: 'effective_at', kind: 'time', read: entry => entry.effective_at },
  { name: 'recorded_at', kind: 'time', read: entry => entry.recorded_at },
  text('actor', entry => entry.actor),
  text('verified_by', entry => entry.verified_by),
  text('via', entry => entry.via === null ? null : JSON.stringify(entry.via)),
  text('notice_version', entry => entry.notice_version),
  { name: 'revision', kind: 'number', read: entry => entry.revision },
  text('prev_hash', entry => entry.prev_hash),
  text('hash', entry => entry.hash)
]

/** An export is kept so long, and a person's own so long, in ms. */
export const exportLifetimeMs = 7 * 86_400_000
export const ownExportLifetimeMs = 86_400_000

/** After so long an error in computing an export ends it; before, it is tried again. */
export const exportPatienceMs = 3_600_000

/** Whether the ledger had been at `head` by the time it was at `current`: only then can its answer be told for good. */
export function isReached (head: LedgerHead, current: LedgerHead): boolean {
  return head.length === current.length && head.every((count, partition) => count <= (current[partition] ?? 0))
}

/** Thrown where an export comes out other than its manifest says: the ledger no longer holds what it held. */
export class ExportChanged extends Error {
  constructor () {
    super('the ledger does not give what the manifest says any more')
    this.name = 'ExportChanged'
  }
}
