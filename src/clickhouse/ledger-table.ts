/** The ledger in ClickHouse: written at least once, stored once per subject and revision. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { subjectKey, subjectOf, type LedgerEntry } from '../domain/ledger.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { LedgerReader } from '../flows/ports.ts'
import { entryColumns, entryOf, type EntryRow } from './ledger-rows.ts'
import { insertRows, readRows } from './statements.ts'

/** An entry with what it changed, and its place among all entries of its partition (counted from 1, without holes). */
export interface PlacedEntry { entry: LedgerEntry, previous: string, partition: number, sequence: number }

export interface LedgerTable extends LedgerReader {
  insert: (entries: readonly PlacedEntry[]) => Promise<void>
}

/** `waitMs`: how long a question waits for entries that are on their way. */
export function makeLedgerTable (client: ClickHouseClient, waitMs: number): LedgerTable {
  return {
    async insert (entries) {
      const values = entries.map(({ entry, ...place }) => ({
        ...entry,
        ...place,
        subject: subjectKey(subjectOf(entry)),
        via: entry.via === null ? null : JSON.stringify(entry.via)
      }))
      await insertRows(client, 'consent_ledger', values)
    },

    async history (subject, head, limit, beforeRevision) {
      const deadline = performance.now() + waitMs
      while (await headOf(subjectKey(subject)) < head) {
        if (performance.now() > deadline) throw new Unavailable('the ledger')
        await sleep(50)
      }
      const rows = await readRows<EntryRow>(client,
        `SELECT ${entryColumns} FROM consent_ledger_v WHERE subject = {subject: String} AND revision < {before: UInt64}
         ORDER BY revision DESC LIMIT {limit: UInt32}`,
        { subject: subjectKey(subject), before: beforeRevision ?? Number.MAX_SAFE_INTEGER, limit }
      )
      return rows.map(entryOf)
    }
  }

  async function headOf (subject: string): Promise<number> {
    const [row] = await readRows<{ head: number | string }>(client, 'SELECT max(revision) AS head FROM consent_ledger WHERE subject = {subject: String}', { subject })
    return Number(row?.head ?? 0)
  }
}
