/** Says that this Redis holds all that the ledger tells. It goes with whatever else is lost. */
import { keyIn, partitionCount, wholeKey } from './keys.ts'
import type { RedisClient } from './servers.ts'

/** A cluster may lose what one of its nodes holds, so there each partition has a mark of its own. */
function marksIn (redis: RedisClient, partitions: Iterable<number>): string[] {
  return redis.isCluster ? [...new Set(partitions)].map(partition => keyIn(partition, 'whole')) : [wholeKey]
}

const allPartitions = Array.from({ length: partitionCount }, (_, partition) => partition)

/** Whether these partitions are whole. */
export async function isWhole (redis: RedisClient, partitions: Iterable<number> = allPartitions): Promise<boolean> {
  return (await Promise.all(marksIn(redis, partitions).map(async mark => await redis.exists(mark)))).every(found => found === 1)
}

export async function noteWhole (redis: RedisClient): Promise<void> {
  await Promise.all(marksIn(redis, allPartitions).map(async mark => await redis.set(mark, '1')))
}

export async function forgetWhole (redis: RedisClient): Promise<void> {
  await Promise.all(marksIn(redis, allPartitions).map(async mark => await redis.del(mark)))
}
