/** Batches that were given up. */
import { Queue } from 'bullmq'
import type { RedisClient } from './servers.ts'
import { eventQueueName, queuePrefix } from './event-queue.ts'
import { batchKey } from './queued-batches.ts'

/** Offers each to the writer again, as many times as a new one; how many there were. A batch that was stored meanwhile, or erased, is passed over. */
export async function offerDeadAgain (redis: RedisClient, onProgress: (offered: number) => void): Promise<number> {
  const queue = new Queue(eventQueueName, { connection: redis, prefix: queuePrefix, skipWaitingForReady: true })
  queue.on('error', () => {}) // Every call reports its own failure.
  try {
    let offered = 0
    for (const id of await queue.getRanges(['failed'], 0, -1)) {
      const job = await queue.getJob(id)
      // What it has been through stays known, so that it is stored by itself.
      if (job === undefined || !await job.isFailed()) continue
      await redis.hdel(batchKey(id), 'starts')
      try {
        await job.retry('failed')
      } catch (error) {
        // It may have been erased just now, or offered by somebody else.
        if (await redis.zscore(batchKey('failed'), id) !== null) throw error
        continue
      }
      offered++
      if (offered % progressEvery === 0) onProgress(offered)
    }
    return offered
  } finally {
    await queue.close()
  }
}

const progressEvery = 100
