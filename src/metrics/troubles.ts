/** Everything that should not happen and is counted when it does; docs/operations.md says what each means. */
export const troubles = [
  'address-unreadable', 'audit-failed', 'batch-dead', 'batch-failed', 'batch-parked', 'erasure-failed', 'erasure-found-late-rows', 'erasure-left-batch', 'export-failed',
  'ledger-checkpoint-failed', 'ledger-not-whole', 'lock-lost', 'mail-failed', 'notices-failed', 'outbox-drain-failed', 'rebuild-failed', 'redis-emptied', 'redis-restarted',
  'secret-unreadable', 'settling-failed', 'store-unavailable', 'traces-unsent'
] as const
export type Trouble = typeof troubles[number]
