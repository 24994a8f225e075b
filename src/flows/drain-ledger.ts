/** Ledger entries leave the outbox for ClickHouse: inserted first, taken out after, so that none is ever in neither. */
import type { LedgerEntry } from '../domain/ledger.ts'

export interface DrainLedgerDeps<Queued extends { entry: LedgerEntry }> {
  outbox: { peek: (max: number) => Promise<Queued[]>, remove: (entries: readonly Queued[]) => Promise<void> }
  ledger: { insert: (entries: readonly LedgerEntry[]) => Promise<void> }
  entriesMax: number
}

/** Moves what waits, and says how much that was. The same entry moved twice is stored once, by subject and revision. */
export async function drainLedger<Queued extends { entry: LedgerEntry }> ({ outbox, ledger, entriesMax }: DrainLedgerDeps<Queued>): Promise<number> {
  const waiting = await outbox.peek(entriesMax)
  if (waiting.length === 0) return 0
  await ledger.insert(waiting.map(({ entry }) => entry))
  await outbox.remove(waiting)
  return waiting.length
}
