/** Batches that wait for longer than any should, because a clock was ahead: that of the writer that put them off, or that of Redis. */
import { Job, type Worker } from 'bullmq'
import type { RedisClient } from './servers.ts'
import type { JobData } from './job-data.ts'
import { batchKey } from './queued-batches.ts'

/** What BullMQ makes of a time in the set of what is put off. */
const scorePerMs = 0x1000

/** Offers now what was put off until after a time, epoch ms. */
export async function bringForward (redis: RedisClient, queue: Worker<JobData>, latest: number): Promise<void> {
  for (const jobId of await redis.zrange(batchKey('delayed'), latest * scorePerMs, '+inf', 'BYSCORE')) {
    // Another writer may have done so in between.
    await Job.fromId(queue, jobId).then(async job => await job?.promote()).catch(() => {})
  }
}

/**
 * Ends what expires later than it ever should: a lock of a writer that may be dead, and the mark that somebody has just
 * looked for such locks. Redis keeps the moment at which a key expires, so one set while its clock was ahead lasts on.
 */
export async function shortenExpiries (redis: RedisClient, lockMs: number, lookMs: number): Promise<void> {
  const expiring: Array<[key: string, ms: number]> = [[batchKey('stalled-check'), lookMs], ...(await redis.lrange(batchKey('active'), 0, -1)).map((jobId): [string, number] => [batchKey(`${jobId}:lock`), lockMs])]
  await Promise.all(expiring.map(async ([key, ms]) => await redis.pexpire(key, ms, 'LT')))
}
