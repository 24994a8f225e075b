/** How far the ledger had come at a moment. */

/** How many entries each partition of the ledger held, by the number of the partition. */
export type LedgerHead = readonly number[]

/** A head as it stands in answers: how many entries in all, and the place that answers can be held to again. */
export function showHead (head: LedgerHead): { entries: number, position: string } {
  return { entries: head.reduce((sum, count) => sum + count, 0), position: head.join('-') }
}

/** The head of a position; undefined for what is none. */
export function parseHead (position: string): LedgerHead | undefined {
  return /^[0-9]{1,15}(?:-[0-9]{1,15})*$/.test(position) ? position.split('-').map(Number) : undefined
}
