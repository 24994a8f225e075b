/** The ledger read whole, page after page, up to a head; and single entries by their id. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { LedgerQuery } from '../domain/export.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import { subjectKey, type LedgerEntry } from '../domain/ledger.ts'
import type { LedgerPages } from '../flows/export-ports.ts'
import { entryColumns, entryOf, type EntryRow } from './ledger-rows.ts'
import { readRows } from './statements.ts'

const conditions: Readonly<Record<keyof LedgerQuery, string>> = {
  account_id: 'account_id = {account_id: String}',
  device_id: 'device_id = {device_id: String}',
  purpose: 'purpose = {purpose: String}',
  decision: 'decision = {decision: String}',
  from: "recorded_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')",
  to: "recorded_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')"
}

/** How many pages lie between two subjects up to which the table is read at a time. */
const pagesPerSlice = 10

/** A place in the order of the table's key. */
interface Place { subject: string, revision: number | string, entry: string }

const beginning: Place = { subject: '', revision: 0, entry: '00000000-0000-0000-0000-000000000000' }
const endOf = (subject: string): Place => ({ subject, revision: '18446744073709551615', entry: 'ffffffff-ffff-ffff-ffff-ffffffffffff' })

/** `pageRows`: how many entries a page has; the last may have fewer. */
export function makeLedgerPages (reader: ClickHouseClient, pageRows: number): LedgerPages {
  /**
   * What a query finds, in the order of the table's key: each slice of it goes on where the one before ended, so that
   * the whole is read once, however large it is. An order by time would read the table anew for each page.
   */
  async function * slices (query: LedgerQuery, head: LedgerHead): AsyncGenerator<EntryRow[]> {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined)
    const subject = query.account_id === undefined ? undefined : subjectKey({ kind: 'account', id: query.account_id })
    const where = [
      ...asked.map(([name]) => conditions[name as keyof LedgerQuery]),
      'sequence <= arrayElement({head: Array(UInt64)}, partition + 1)',
      '(subject, revision, entry_id) > ({subject: String}, {revision: UInt64}, {entry: UUID})',
      subject === undefined ? 'subject >= {subject: String}' : 'subject = {only: String}'
    ]
    let last = beginning
    while (true) {
      const until = subject === undefined ? await subjectAfter(last.subject, pagesPerSlice * pageRows) : undefined
      while (true) {
        // Not FINAL: that would choose among an entry's copies before the head is asked for, and one that claims a later
        // place would hide the entry.
        const rows = await readRows<EntryRow & { subject: string }>(reader,
          `SELECT subject, ${entryColumns} FROM consent_ledger WHERE ${[...where, ...(until === undefined ? [] : ['subject <= {until: String}'])].join(' AND ')}
           ORDER BY subject, revision, entry_id, sequence LIMIT 1 BY subject, revision, entry_id LIMIT {limit: UInt32}`,
          { ...Object.fromEntries(asked), head: [...head], limit: pageRows, only: subject ?? '', until: until ?? '', ...last })
        yield rows
        const end = rows.at(-1)
        if (end === undefined || rows.length < pageRows) break
        last = { subject: end.subject, revision: end.revision, entry: end.entry_id }
      }
      if (until === undefined) return
      last = endOf(until)
    }
  }

  /** The subject of the row that lies so many rows after a subject's; undefined behind the last. */
  async function subjectAfter (subject: string, rows: number): Promise<string | undefined> {
    const [row] = await readRows<{ subject: string }>(reader,
      'SELECT subject FROM consent_ledger WHERE subject > {subject: String} ORDER BY subject LIMIT 1 OFFSET {rows: UInt32}', { subject, rows })
    return row?.subject
  }

  return {
    async * pages (query, head) {
      // Pages are counted by what is found: where slices end depends on how the table lies.
      let page: LedgerEntry[] = []
      for await (const rows of slices(query, head)) {
        for (const row of rows) {
          page.push(entryOf(row))
          if (page.length < pageRows) continue
          yield page
          page = []
        }
      }
      if (page.length > 0) yield page
    },

    async find (entryId, subject) {
      // An entry that arrived twice is two equal rows.
      const [row] = await readRows<EntryRow & { previous: string }>(reader,
        `SELECT previous, ${entryColumns} FROM consent_ledger WHERE entry_id = {entry: UUID}${subject === undefined ? '' : ' AND subject = {subject: String}'} LIMIT 1`,
        { entry: entryId, ...(subject === undefined ? {} : { subject: subjectKey(subject) }) })
      return row === undefined ? undefined : { entry: entryOf(row), previous: row.previous }
    }
  }
}
