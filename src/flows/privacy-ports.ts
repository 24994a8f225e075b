/** What the privacy team's questions need from the edges. Times are epoch milliseconds. */
import type { Interval, Span } from '../domain/calendar.ts'
import type { LedgerQuery } from '../domain/export.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import type { Clocks, EntryInForce } from '../domain/point-in-time.ts'

/** What a subject's ledger says within two clocks. `last`: the last entry that was recorded by then. */
export interface SubjectThen { entries: EntryInForce[], last: { revision: number, hash: string } }

/** Where a page of the ledger ended. */
export interface LedgerPlace { recordedAt: number, subject: string, revision: number, entryId: string }

/** `head`: what came into the ledger after it is not told of. */
export interface PrivacyReader {
  account: (accountId: string, clocks: Clocks, head: LedgerHead) => Promise<SubjectThen>
  /** Accounts in the order of their ids, from after `after`, with their entries in force. Only accounts that were known at the second clock. */
  accounts: (after: string, limit: number, clocks: Clocks, head: LedgerHead) => Promise<Array<{ accountId: string, entries: EntryInForce[] }>>
  /**
   * The entries in force that decide on one purpose: of each account at the account, and where a device is named,
   * of each account on it and of the device alone. Accounts without any are left out.
   */
  forPurpose: (purpose: string, accountIds: readonly string[], deviceId: string | undefined, clocks: Clocks, head: LedgerHead) => Promise<{ accounts: Map<string, EntryInForce[]>, deviceAlone: EntryInForce[] }>
  /** Entries in the order in which they were recorded, each once, from after a place. */
  ledger: (query: LedgerQuery, limit: number, after: LedgerPlace | undefined, head: LedgerHead) => Promise<Array<{ entry: LedgerEntry, place: LedgerPlace }>>
}

/** What was recorded in one interval. `subjects`: accounts that the ledger first heard of; `first`: choices made for the first time. */
export interface ConsentChanges {
  start: number
  granted: number
  denied: number
  cleared: number
  grantedBefore: number
  deniedBefore: number
  first: number
  subjects: number
}

/**
 * Grants alike in what makes them lapse: the notice they name, and how many notices were in force when they took effect.
 * `begin` and `end`: the starts of the intervals in which they were given and ended; epoch ms, infinite outside the span.
 */
export interface GrantsAlike { notice: string | null, noticesBefore: number, begin: number, end: number, count: number }

export const decisionColumns = ['reason', 'product', 'purpose', 'stage', 'event', 'release', 'outcome'] as const
export type DecisionColumn = typeof decisionColumns[number]

export type DecisionRow = Partial<Record<DecisionColumn, string | number>> & { start?: number, count: number }

/** What ClickHouse holds of the fates of events. `uneven`: requests whose accepted events do not add up to what became of them. */
export interface StoredBooks { accepted: number, dropped: number, rejected: number, stored: number, droppedAtWrite: number, failed: number, uneven: number }

export interface PrivacyStatistics {
  /** The changes up to `head` of every interval in which there were some until `to`, oldest first; what came before `from` as one that starts then or earlier. */
  consentChanges: (purpose: string, scope: 'account' | 'device', interval: Interval, span: Span, head: LedgerHead) => Promise<ConsentChanges[]>
  /** The grants up to `head` that were given until `to`. `noticesAt`: when each notice took effect, epoch ms. */
  grants: (purpose: string, scope: 'account' | 'device', interval: Interval, span: Span, noticesAt: readonly number[], head: LedgerHead) => Promise<GrantsAlike[]>
  /** Counts by whole days. */
  decisions: (columns: readonly DecisionColumn[], interval: Interval | undefined, span: Span) => Promise<DecisionRow[]>
  /** Sums by whole days, without these requests. */
  books: (span: Span, without: readonly string[]) => Promise<StoredBooks>
}
