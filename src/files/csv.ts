/** Entries as comma-separated values with a header (RFC 4180), safe to open in a spreadsheet. */
import { ledgerColumns, type LedgerColumn, type LedgerFile } from '../domain/export.ts'
import type { LedgerEntry } from '../domain/ledger.ts'

/**
 * What a spreadsheet may take for the beginning of a formula: = + - @ in whatever form (compatibility forms, such as the
 * full-width ones, are folded first), after whatever is blank or invisible; a tab or line break. An apostrophe is
 * marked too, so that taking one away from the front gives the text back, whatever it was.
 */
const runnable = /^(?:[\t\r\n']|[\s\p{Z}\p{C}]*[=+\-@\u2212])/u

export function makeCsv (): LedgerFile {
  return {
    begin: () => Buffer.from(lineOf(ledgerColumns.map(({ name }) => name))),
    page: entries => Buffer.from(entries.map(entry => lineOf(ledgerColumns.map(column => cellOf(column, entry)))).join('')),
    end: () => new Uint8Array()
  }
}

function cellOf ({ kind, read }: LedgerColumn, entry: LedgerEntry): string {
  const value = read(entry)
  if (value === null) return ''
  if (kind === 'time') return new Date(value).toISOString()
  if (typeof value === 'number') return String(value)
  return runnable.test(value.normalize('NFKC')) ? `'${value}` : value
}

function lineOf (cells: readonly string[]): string {
  return `${cells.map(cell => /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell).join(',')}\r\n`
}
