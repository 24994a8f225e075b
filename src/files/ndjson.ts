/** Entries as JSON, one a line, as they stand in a history. */
import type { LedgerFile } from '../domain/export.ts'
import type { LedgerEntry } from '../domain/ledger.ts'

const nothing = new Uint8Array()

export function makeNdjson (): LedgerFile {
  return {
    begin: () => nothing,
    page: entries => Buffer.from(entries.map(entry => `${JSON.stringify(shown(entry))}\n`).join('')),
    end: () => nothing
  }
}

function shown (entry: LedgerEntry): Record<string, unknown> {
  return { ...entry, effective_at: new Date(entry.effective_at).toISOString(), recorded_at: new Date(entry.recorded_at).toISOString() }
}
