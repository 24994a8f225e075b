/** Batches that were put off until later than any should be: the clock of the writer that did it was ahead. */
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
