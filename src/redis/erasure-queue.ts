/** Finds what subjects still have in the queue of events, and what was given up there. */
import { Queue } from 'bullmq'
import type { RedisClient } from './servers.ts'
import { concerns, type Erasure } from '../domain/erasure.ts'
import type { ErasureQueue, FoundBatch } from '../flows/erasure-ports.ts'
import { eventQueueName, queuePrefix } from './event-queue.ts'
import { fromJobData, toJobData, type JobData } from './job-data.ts'
import { batchKey, readBatches } from './queued-batches.ts'
import { orUnavailable } from './unavailable.ts'

export function makeErasureQueue (redis: RedisClient): ErasureQueue & { close: () => Promise<void> } {
  const queue = new Queue<JobData>(eventQueueName, { connection: redis, prefix: queuePrefix, skipWaitingForReady: true, skipVersionCheck: true })
  queue.on('error', () => {}) // Every call reports its own failure.

  return {
    ...orUnavailable<ErasureQueue>('the queue', {
      async search (erasures) {
        const found = new Map<Erasure, FoundBatch[]>(erasures.map(erasure => [erasure, []]))
        if (erasures.length === 0) return []
        const bySubject = Map.groupBy(erasures, nameOf)
        for await (const page of readBatches(redis)) {
          for (const { jobId, dead, batch: { owner, requestId, receivedAt } } of page) {
            const candidates = [owner.accountId, undefined].flatMap(accountId => [owner.deviceId, undefined].flatMap(deviceId => bySubject.get(nameOf({ accountId, deviceId })) ?? []))
            for (const erasure of new Set(candidates)) {
              if (receivedAt <= erasure.until && concerns(erasure, owner)) found.get(erasure)?.push({ jobId, requestId, dead })
            }
          }
        }
        return erasures.map(erasure => found.get(erasure) ?? [])
      },

      async remaining (batches) {
        const held = await Promise.all(batches.map(async ({ jobId }) => await redis.exists(batchKey(jobId))))
        return batches.filter(({ settled }, index) => held[index] === 1 && settled === undefined)
      },

      async readDead (jobId) {
        const job = await queue.getJob(jobId)
        return job !== undefined && await job.isFailed() ? fromJobData(job.data) : undefined
      },

      async replace (jobId, batch) {
        const job = await queue.getJob(jobId)
        await job?.updateData(toJobData(batch))
      },

      async remove (jobId) {
        await queue.remove(jobId)
      }
    }),
    close: async () => { await queue.close() }
  }
}

/** One text for each pair of names. */
function nameOf ({ accountId, deviceId }: { accountId: string | null | undefined, deviceId: string | null | undefined }): string {
  return JSON.stringify([accountId ?? null, deviceId ?? null])
}
