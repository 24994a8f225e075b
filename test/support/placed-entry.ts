/** Entries for tests that write the ledger themselves, past the service. */
import { randomUUID } from 'node:crypto'
import type { PlacedEntry } from '../../src/clickhouse/ledger-table.ts'
import type { LedgerEntry } from '../../src/domain/ledger.ts'

/** A grant at the account, by `ada`, unless told otherwise. `previous`: what it replaces. */
export function makePlaced ({ previous = 'absent', ...fields }: Partial<LedgerEntry> & { previous?: string }): PlacedEntry {
  const at = fields.recorded_at ?? Date.UTC(2026, 0, 1)
  const entry: LedgerEntry = {
    entry_id: randomUUID(), account_id: 'ada', device_id: null, scope: 'account', purpose: 'product_analytics', decision: 'granted', effective_at: at, recorded_at: at,
    actor: 'user', verified_by: 'email', via: null, notice_version: null, revision: 1, prev_hash: '', hash: 'x', ...fields
  }
  return { entry, previous, partition: 0, sequence: 0 }
}
