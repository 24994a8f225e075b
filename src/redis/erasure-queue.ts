/** Finds what a subject still has in the queue of events, and what was given up there. */
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { concerns } from '../domain/erasure.ts'
import type { ErasureQueue, FoundBatch } from '../flows/erasure-ports.ts'
import type { QueuedBatch } from '../flows/ports.ts'
import { eventQueueName, queuePrefix } from './event-queue.ts'
import { orUnavailable } from './unavailable.ts'

/** How many batches are read at once: a batch may be large. */
const pageSize = 50

export function makeErasureQueue (redis: Redis): ErasureQueue & { close: () => Promise<void> } {
  const queue = new Queue<QueuedBatch>(eventQueueName, { connection: redis, prefix: queuePrefix, skipWaitingForReady: true })
  queue.on('error', () => {}) // Every call reports its own failure.

  /** All jobs as they lie at one moment, so that none is missed that moves meanwhile. */
  const snapshot = async (): Promise<Array<{ jobId: string, dead: boolean }>> => {
    const answers = await redis.multi()
      .lrange(queue.toKey('wait'), 0, -1).lrange(queue.toKey('paused'), 0, -1).lrange(queue.toKey('active'), 0, -1)
      .zrange(queue.toKey('delayed'), '0', '-1').zrange(queue.toKey('failed'), '0', '-1').exec()
    return (answers ?? []).flatMap(([error, ids], index) => {
      if (error !== null) throw error
      return (ids as string[]).map(jobId => ({ jobId, dead: index === 4 }))
    })
  }

  return {
    ...orUnavailable<ErasureQueue>('the queue', {
      async search (erasure) {
        const jobs = await snapshot()
        const found: FoundBatch[] = []
        for (let from = 0; from < jobs.length; from += pageSize) {
          const page = jobs.slice(from, from + pageSize)
          const texts = await Promise.all(page.map(async ({ jobId }) => await redis.hget(queue.toKey(jobId), 'data')))
          page.forEach(({ jobId, dead }, index) => {
            const batch = JSON.parse(texts[index] ?? 'null') as QueuedBatch | null // Null when it has been stored meanwhile.
            if (batch !== null && batch.receivedAt <= erasure.until && concerns(erasure, batch.owner)) found.push({ jobId, requestId: batch.requestId, dead })
          })
        }
        return found
      },

      async remaining (batches) {
        const held = await Promise.all(batches.map(async ({ jobId }) => await redis.exists(queue.toKey(jobId))))
        return batches.filter((_, index) => held[index] === 1)
      },

      async readDead (jobId) {
        const job = await queue.getJob(jobId)
        return job !== undefined && await job.isFailed() ? job.data : undefined
      },

      async remove (jobId) {
        await queue.remove(jobId)
      }
    }),
    close: async () => { await queue.close() }
  }
}
