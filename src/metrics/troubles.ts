/** Everything that should not happen and is counted when it does; docs/operations.md says what each means. */
import { Counter, type Registry } from 'prom-client'

const troubles = [
  'address-unreadable', 'audit-failed', 'batch-dead', 'batch-failed', 'batch-parked', 'collector-restarted', 'erasure-failed', 'erasure-found-late-rows', 'erasure-left-batch', 'export-failed', 'intake-thread-ended',
  'ledger-checkpoint-failed', 'ledger-not-whole', 'lock-lost', 'mail-failed', 'notices-failed', 'outbox-drain-failed', 'rebuild-failed', 'redis-emptied', 'redis-restarted',
  'secret-unreadable', 'settling-failed', 'store-unavailable', 'traces-unsent'
] as const
export type Trouble = typeof troubles[number]

export function makeTroubleCounter (registry: Registry): Counter<'what'> {
  const trouble = new Counter({ name: 'assent_trouble_total', help: 'Things that should not happen, by kind', labelNames: ['what'], registers: [registry] })
  // A rise is seen only from a value that was there before.
  for (const what of troubles) trouble.inc({ what }, 0)
  return trouble
}
