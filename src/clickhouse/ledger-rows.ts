/** Entries as they lie in the ledger's table and as they are read from it. */
import type { LedgerEntry } from '../domain/ledger.ts'

/** What a statement selects to read entries. No name of a column is given to anything else. */
export const entryColumns = `entry_id, account_id, device_id, scope, purpose, decision, toUnixTimestamp64Milli(effective_at) AS effective_ms,
  toUnixTimestamp64Milli(recorded_at) AS recorded_ms, actor, verified_by, via, notice_version, revision, prev_hash, hash`

export interface EntryRow extends Omit<LedgerEntry, 'via' | 'effective_at' | 'recorded_at' | 'revision'> {
  via: string | null
  effective_ms: number | string
  recorded_ms: number | string
  revision: number | string
}

export function entryOf ({ entry_id, account_id, device_id, scope, purpose, decision, effective_ms, recorded_ms, actor, verified_by, via, notice_version, revision, prev_hash, hash }: EntryRow): LedgerEntry {
  return {
    entry_id,
    account_id,
    device_id,
    scope,
    purpose,
    decision,
    effective_at: Number(effective_ms),
    recorded_at: Number(recorded_ms),
    actor,
    verified_by,
    via: via === null ? null : JSON.parse(via) as LedgerEntry['via'],
    notice_version,
    revision: Number(revision),
    prev_hash,
    hash
  }
}
