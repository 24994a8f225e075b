/** Reads the batches in the queue of events, those given up too, without taking any. */
import type { RedisClient } from './servers.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { HeldBatches } from '../flows/export-ports.ts'
import { eventQueueName, queuePrefix } from './event-queue.ts'
import { fromJobData, headsOf, type JobData } from './job-data.ts'

export interface ReadJob { jobId: string, dead: boolean, data: JobData }

/** How many jobs are read at once: a batch may be large. */
const pageSize = 50

export function batchKey (name: string): string {
  return `${queuePrefix}:${eventQueueName}:${name}`
}

/** The jobs of all batches as they lie at one moment, so that none is missed that moves meanwhile; those stored while this reads are left out. */
export async function * readJobs (redis: RedisClient): AsyncGenerator<ReadJob[]> {
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
    yield page.flatMap((job, index): ReadJob[] => {
      const data = JSON.parse(texts[index] ?? 'null') as JobData | null
      return data === null ? [] : [{ ...job, data }]
    })
  }
}

export function makeHeldBatches (redis: RedisClient): HeldBatches {
  return {
    async * of (accountId) {
      try {
        for await (const page of readJobs(redis)) {
          for (const { data, dead } of page) {
            if (!headsOf(data).some(({ owner }) => owner.accountId === accountId)) continue
            yield (await fromJobData(data)).filter(({ owner }) => owner.accountId === accountId).map(batch => ({ batch, dead }))
          }
        }
      } catch (cause) {
        throw new Unavailable('the queue', { cause })
      }
    }
  }
}
