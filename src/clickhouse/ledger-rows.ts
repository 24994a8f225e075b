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

/** The entry of a row. What somebody put there that cannot be read is left out: the entry is shown, and proves nothing. */
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
    via: via === null ? null : viaOf(via) ?? null,
    notice_version,
    revision: Number(revision),
    prev_hash,
    hash
  }
}

/** Whether all of a row is what the service writes. */
export function isReadable ({ via }: Pick<EntryRow, 'via'>): boolean {
  return via === null || viaOf(via) !== undefined
}

function viaOf (text: string): NonNullable<LedgerEntry['via']> | undefined {
  const via = parse(text)
  if (typeof via !== 'object' || via === null || Object.keys(via).length !== 3) return undefined
  const { product, release, device_id } = via as Record<string, unknown>
  if (typeof product !== 'string' || typeof release !== 'number' || (device_id !== null && typeof device_id !== 'string')) return undefined
  return { product, release, device_id }
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
