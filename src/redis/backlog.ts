/** What is written in Redis and waits to be worked off, beside the batches and the letters. */
import { keyIn, partitionCount } from './keys.ts'
import type { RedisClient } from './servers.ts'

/** The streams of every partition. */
const streams = ['ledger', 'security-log', 'access-log', 'policies', 'erasures', 'erasures-again', 'exports'] as const

/** `oldestAgeMs`: 0 when nothing waits. */
export interface Backlog { stream: string, entries: number, oldestAgeMs: number }

/** `now`: epoch ms. Throws what Redis throws. */
export async function readBacklogs (redis: RedisClient, now: number): Promise<Backlog[]> {
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  return await Promise.all(streams.map(async stream => {
    const found = await Promise.all(partitions.map(async partition => {
      const key = keyIn(partition, stream)
      const [entries, oldest] = await Promise.all([redis.xlen(key), redis.xrange(key, '-', '+', 'COUNT', 1)])
      return { entries, ages: oldest.map(([id]) => Math.max(0, now - Number.parseInt(id, 10))) }
    }))
    return { stream, entries: found.reduce((sum, { entries }) => sum + entries, 0), oldestAgeMs: Math.max(0, ...found.flatMap(({ ages }) => ages)) }
  }))
}
