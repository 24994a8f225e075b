/** The ledger up to a head. */

/**
 * A condition that the entries of `{head}` meet, wherever they are read without FINAL or before it. Entries of before
 * 0010 of the migrations have the place 0 and are in every head; two rows of one entry have the same place.
 */
export const withinHead = 'sequence <= arrayElement({head: Array(UInt64)}, partition + 1)'
