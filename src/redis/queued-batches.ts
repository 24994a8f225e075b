/** Reads the batches in the queue of events, those given up too, without taking any. */
import type { RedisClient } from './servers.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { HeldBatches } from '../flows/export-ports.ts'
import type { QueuedBatch } from '../flows/ports.ts'
import { eventQueueName, queuePrefix } from './event-queue.ts'
import { fromJobData, type JobData } from './job-data.ts'

export interface ReadBatch { jobId: string, dead: boolean, batch: QueuedBatch }

/** How many jobs are read at once: a batch may be large. */
const pageSize = 50

export function batchKey (name: string): string {
  return `${queuePrefix}:${eventQueueName}:${name}`
}

/** All batches as they lie at one moment, so that none is missed that moves meanwhile; those stored while this reads are left out. */
export async function * readBatches (redis: RedisClient): AsyncGenerator<ReadBatch[]> {
  const answers = await redis.multi()
    .lrange(batchKey('wait'), 0, -1).lrange(batchKey('paused'), 0, -1).lrange(batchKey('active'), 0, -1)
    .zrange(batchKey('delayed'), '0', '-1').zrange(batchKey('failed'), '0', '-1').exec()
  const jobs = (answers ?? []).flatMap(([error, ids], index) => {
    if (error !== null) throw error
    return (ids as string[]).map(jobId => ({ jobId, dead: index === 4 }))
  })
  for (let from = 0; from < jobs.length; from += pageSize) {
    const page = jobs.slice(from, from + pageSize)
    const texts = await Promise.all(page.map(async ({ jobId }) => await redis.hget(batchKey(jobId), 'data')))
    yield page.flatMap((job, index): ReadBatch[] => {
      const data = JSON.parse(texts[index] ?? 'null') as JobData | null
      return data === null ? [] : fromJobData(data).map(batch => ({ ...job, batch }))
    })
  }
}

export function makeHeldBatches (redis: RedisClient): HeldBatches {
  return {
    async * of (accountId) {
      try {
        for await (const page of readBatches(redis)) {
          const own = page.filter(({ batch }) => batch.owner.accountId === accountId)
          if (own.length > 0) yield own
        }
      } catch (cause) {
        throw new Unavailable('the queue', { cause })
      }
    }
  }
}
