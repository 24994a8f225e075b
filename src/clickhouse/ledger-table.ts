/** The ledger in ClickHouse: written at least once, stored once per subject and revision. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { subjectKey, subjectOf, type LedgerEntry } from '../domain/ledger.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { LedgerReader } from '../flows/ports.ts'
import { insertRows, readRows } from './statements.ts'

/** An entry with what it changed, and its place among all entries of its partition (counted from 1, without holes). */
export interface PlacedEntry { entry: LedgerEntry, previous: string, partition: number, sequence: number }

export interface LedgerTable extends LedgerReader {
  insert: (entries: readonly PlacedEntry[]) => Promise<void>
}

const shownColumns = `entry_id, account_id, device_id, scope, purpose, decision, toUnixTimestamp64Milli(effective_at) AS effective_at,
  toUnixTimestamp64Milli(recorded_at) AS recorded_at, actor, verified_by, via, notice_version, revision, prev_hash, hash`

interface LedgerRow extends Omit<LedgerEntry, 'via' | 'effective_at' | 'recorded_at' | 'revision'> {
  via: string | null
  effective_at: number | string
  recorded_at: number | string
  revision: number | string
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
      const deadline = Date.now() + waitMs
      while (await headOf(subjectKey(subject)) < head) {
        if (Date.now() > deadline) throw new Unavailable('the ledger')
        await sleep(50)
      }
      const rows = await readRows<LedgerRow>(client,
        `SELECT ${shownColumns} FROM consent_ledger_v WHERE subject = {subject: String} AND revision < {before: UInt64}
         ORDER BY consent_ledger_v.revision DESC LIMIT {limit: UInt32}`,
        { subject: subjectKey(subject), before: beforeRevision ?? Number.MAX_SAFE_INTEGER, limit }
      )
      return rows.map(row => ({
        ...row,
        via: row.via === null ? null : JSON.parse(row.via) as LedgerEntry['via'],
        effective_at: Number(row.effective_at),
        recorded_at: Number(row.recorded_at),
        revision: Number(row.revision)
      }))
    }
  }

  async function headOf (subject: string): Promise<number> {
    const [row] = await readRows<{ head: number | string }>(client, 'SELECT max(revision) AS head FROM consent_ledger WHERE subject = {subject: String}', { subject })
    return Number(row?.head ?? 0)
  }
}
