/** How far the ledger is, and whether ClickHouse has come as far. */
import type { RedisClient } from './servers.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import type { LedgerProgress } from '../flows/ports.ts'
import { keyIn, partitionCount } from './keys.ts'
import { makeOutbox } from './outbox.ts'
import { orUnavailable } from './unavailable.ts'
import { isWhole } from './whole-mark.ts'

const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)

/** `withinMs`: how long a question waits for entries that are on their way. */
export function makeLedgerProgress (redis: RedisClient, withinMs: number): LedgerProgress {
  const outbox = makeOutbox<LedgerEntry>(redis, 'ledger')
  return orUnavailable<LedgerProgress>('ledger', {
    async caughtUp (): Promise<LedgerHead> {
      // The counts first: what is counted then lies in the outboxes that are waited for, or has left them.
      const counts = await Promise.all(partitions.map(async partition => await redis.get(keyIn(partition, 'ledger-count'))))
      await Promise.all(partitions.map(async partition => { await outbox.drained(partition, withinMs) }))
      // Last: in a Redis that was emptied the counts are of no ledger.
      if (!await isWhole(redis)) throw new Error('this Redis is not whole')
      return counts.map(count => Number(count ?? 0))
    }
  })
}
