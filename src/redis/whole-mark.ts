/** Says that this Redis holds all that the ledger tells. It goes with whatever else is lost. */
import { keyIn, partitionCount, wholeKey } from './keys.ts'
import type { RedisClient } from './servers.ts'

/** The key that is there while a partition is whole. A cluster may lose what one of its nodes holds, so there each has its own. */
export function wholeMarkOf (redis: RedisClient, partition: number): string {
  return redis.isCluster ? keyIn(partition, 'whole') : wholeKey
}

function allMarks (redis: RedisClient): string[] {
  return [...new Set(Array.from({ length: partitionCount }, (_, partition) => wholeMarkOf(redis, partition)))]
}

/** Whether all partitions are whole. */
export async function isWhole (redis: RedisClient): Promise<boolean> {
  return (await Promise.all(allMarks(redis).map(async mark => await redis.exists(mark)))).every(found => found === 1)
}

export async function noteWhole (redis: RedisClient): Promise<void> {
  await Promise.all(allMarks(redis).map(async mark => await redis.set(mark, '1')))
}

export async function forgetWhole (redis: RedisClient): Promise<void> {
  await Promise.all(allMarks(redis).map(async mark => await redis.del(mark)))
}
