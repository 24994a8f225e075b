/** Finds what subjects still have in the queue of events, and what was given up there. */
import type { RedisClient } from './servers.ts'
import { concerns, type Erasure } from '../domain/erasure.ts'
import type { BatchPlace, ErasureQueue, FoundBatch } from '../flows/erasure-ports.ts'
import type { QueuedBatch } from '../flows/ports.ts'
import { fromJobData, headsOf, isWhole, toJobData, type JobData } from './job-data.ts'
import { batchKey, readJobs } from './queued-batches.ts'
import { orUnavailable } from './unavailable.ts'

export function makeErasureQueue (redis: RedisClient): ErasureQueue {
  const isDead = async (jobId: string): Promise<boolean> => await redis.zscore(batchKey('failed'), jobId) !== null

  const readDead = async ({ jobId, requestId }: BatchPlace): Promise<QueuedBatch | undefined> => {
    const [dead, data] = await Promise.all([isDead(jobId), redis.hget(batchKey(jobId), 'data')])
    return dead && data !== null ? (await batchesOf(data)).find(batch => batch.requestId === requestId) : undefined
  }

  /** Puts `rest` in the place of one batch of a job given up; others may be at its neighbours. False when it is given up no more. */
  const replaceWith = async ({ jobId, requestId }: BatchPlace, rest: readonly QueuedBatch[]): Promise<boolean> => {
    for (;;) {
      const data = await redis.hget(batchKey(jobId), 'data')
      if (data === null) return false
      const before = await batchesOf(data)
      if (!before.every(batch => batch.requestId === requestId || isWhole(batch))) throw new Error('a batch cannot be taken from those beside it')
      const batches = before.flatMap(batch => batch.requestId === requestId ? rest : [batch])
      const outcome = await redis.replaceDeadBatches(batchKey('failed'), batchKey(jobId), jobId, data, batches.length === 0 ? '' : JSON.stringify(await toJobData(batches)))
      if (outcome !== 0) return outcome === 1
    }
  }

  return orUnavailable<ErasureQueue>('the queue', {
    async search (erasures) {
      const found = new Map<Erasure, FoundBatch[]>(erasures.map(erasure => [erasure, []]))
      if (erasures.length === 0) return []
      const bySubject = Map.groupBy(erasures, nameOf)
      for await (const page of readJobs(redis)) {
        for (const { jobId, dead, owner, requestId, receivedAt } of page.flatMap(({ data, ...job }) => headsOf(data).map(head => ({ ...job, ...head })))) {
          const candidates = [owner.accountId, undefined].flatMap(accountId => [owner.deviceId, undefined].flatMap(deviceId => bySubject.get(nameOf({ accountId, deviceId })) ?? []))
          for (const erasure of new Set(candidates)) {
            if (receivedAt <= erasure.until && concerns(erasure, owner)) found.get(erasure)?.push({ jobId, requestId, dead })
          }
        }
      }
      return erasures.map(erasure => found.get(erasure) ?? [])
    },

    async remaining (batches) {
      const held = await Promise.all(batches.filter(({ settled }) => settled === undefined).map(async batch => {
        const [exists, dead] = await Promise.all([redis.hexists(batchKey(batch.jobId), 'data'), isDead(batch.jobId)])
        // One that was given up may be gone from a job that still holds others.
        return exists === 1 && (!dead || await readDead(batch) !== undefined) ? [batch] : []
      }))
      return held.flat()
    },

    readDead,

    replace: async (place, batch) => await replaceWith(place, [batch]),

    async remove (place) {
      await replaceWith(place, [])
    }
  })
}

async function batchesOf (data: string): Promise<QueuedBatch[]> {
  return await fromJobData(JSON.parse(data) as JobData)
}

/** One text for each pair of names. */
function nameOf ({ accountId, deviceId }: { accountId: string | null | undefined, deviceId: string | null | undefined }): string {
  return JSON.stringify([accountId ?? null, deviceId ?? null])
}
