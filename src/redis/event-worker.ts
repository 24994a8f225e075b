/** Takes jobs from the queue, has their batches stored together, and acknowledges what is stored. */
import { DelayedError, Job, UnrecoverableError, Worker } from 'bullmq'
import type { RedisClient } from './servers.ts'
import type { QueuedBatch } from '../flows/ports.ts'
import { eventQueueName, jobOptions, queuePrefix } from './event-queue.ts'
import { makeFlushes, type FlushOptions, type Waiting } from './flushes.ts'
import { fromJobData, toJobData, type JobData } from './job-data.ts'
import { bringForward, shortenExpiries } from './put-off.ts'
import { batchKey } from './queued-batches.ts'

export interface EventWorkerOptions extends Omit<FlushOptions, 'onTrouble' | 'flushJobsMax'> {
  /** Whether this version knows the form of a batch. One that it does not know is parked, and `store` is not asked. */
  isReadable: (batch: QueuedBatch) => boolean
  onTrouble: (what: 'store-unavailable' | 'batch-failed' | 'batch-dead' | 'batch-parked' | 'lock-lost', error?: Error) => void
  /** How long a batch that is not readable lies before it is offered again, to this writer or a newer one. */
  parkMs: number
}

export interface EventWorker {
  /** Holds back every insert until `resume`; what is taken from the queue meanwhile stays in it. */
  pause: () => void
  resume: () => void
  /** Finishes what is in hand and takes no more. */
  close: () => Promise<void>
}

/** How often a job may be started alone before it is set aside: one that kills the process is found by this. */
const startsMax = 25
/** How often a job of several batches may be started alone. What fails again is parted. */
const wholeStartsMax = 1
/** For how long a batch that has failed is put off, at most, and how often it is looked whether one was put off for longer. */
const putOffMaxMs = 60_000
const putOffLookMs = 10_000
const lockMs = 6000
/** How often it is looked for batches of writers that have died. */
const stalledLookMs = 3000
/**
 * BullMQ takes one job after the other until it has as many as it may or finds none, and only then looks at what it has
 * taken; locks are not renewed until then. So it may have few, and several of it take side by side.
 */
const takers = 4
const jobsEach = 150
/** What a job is called that was parted from another. */
const partName = 'part'

export function startEventWorker (redis: RedisClient, options: EventWorkerOptions): EventWorker {
  const startedAt = Date.now()
  // While one half is stored the other gathers.
  const flushes = makeFlushes({ ...options, flushJobsMax: takers * jobsEach / 2 })

  /** Keeps a batch for a writer that knows its form, however long none comes. */
  const park = async (job: Job<JobData>, token: string | undefined): Promise<never> => {
    options.onTrouble('batch-parked')
    await job.moveToDelayed(Date.now() + options.parkMs, token)
    throw new DelayedError()
  }

  /**
   * What has failed or stalled before is started by itself, so that it can spoil nothing else. The start counts once its
   * turn has come: if what is before it kills the process, it is not to blame. BullMQ would count that it was taken.
   */
  const startAlone = async (job: Job<JobData>, batches: readonly QueuedBatch[], store: (waiting: Waiting) => Promise<void>): Promise<void> => {
    const key = batchKey(job.id ?? '')
    const [starts, isThere] = await Promise.all([redis.hincrby(key, 'starts', 1), redis.hexists(key, 'data')])
    if (isThere === 0) {
      // Another writer has had it stored while this one stood still. Nothing of it may stay.
      await redis.hdel(key, 'starts')
    } else if (batches.length > 1 && starts > wholeStartsMax) {
      await part(job, batches)
    } else if (starts > startsMax) {
      const error = new UnrecoverableError('started too often')
      options.onTrouble('batch-dead', error)
      throw error
    } else {
      await store({ batches, again: true })
    }
  }

  /**
   * Puts each batch of a job into one of its own, so that what is given up in the end is what cannot be stored and nothing
   * else. A kill on the way leaves the job as it was, to be parted once more: a part that is there is not added again, and
   * one that is done and gone is stored once more, which changes nothing.
   */
  const part = async ({ timestamp }: Job<JobData>, batches: readonly QueuedBatch[]): Promise<void> => {
    await Job.createBulk(first, await Promise.all(batches.map(async batch => ({ name: partName, data: await toJobData([batch]), opts: { ...jobOptions, jobId: batch.requestId, timestamp, lifo: true } }))))
  }

  const process = async (job: Job<JobData>, token?: string): Promise<void> => {
    const batches = await fromJobData(job.data)
    if (!batches.every(options.isReadable)) await park(job, token)
    const isTriedBefore = job.attemptsMade > 0 || job.stalledCounter > 0 || job.name === partName
    // What was queued before this writer started may come from a backup of Redis, and be stored already.
    if (!isTriedBefore) {
      await flushes.together({ batches, again: job.timestamp < startedAt })
      return
    }
    await flushes.alone(async store => { await startAlone(job, batches, store) })
  }

  const startTaker = (): Worker<JobData> => new Worker<JobData>(eventQueueName, process, {
    connection: redis,
    prefix: queuePrefix,
    concurrency: jobsEach,
    lockDuration: lockMs,
    stalledInterval: stalledLookMs,
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    settings: { backoffStrategy: attemptsMade => Math.min(1000 * 2 ** (attemptsMade - 1), putOffMaxMs) }
  })
  const first = startTaker()
  const workers = [first, ...Array.from({ length: takers - 1 }, startTaker)]
  for (const worker of workers) worker.on('error', error => { if (error.message.includes('lock')) options.onTrouble('lock-lost', error) })

  const look = (): void => {
    bringForward(redis, first, Date.now() + Math.max(2 * putOffMaxMs, 2 * options.parkMs))
      .then(async () => { await shortenExpiries(redis, lockMs, stalledLookMs) })
      .catch(() => {}) // It is looked again.
  }
  look()
  const looking = setInterval(look, putOffLookMs)

  return {
    pause: flushes.pause,
    resume: flushes.resume,
    async close () {
      clearInterval(looking)
      flushes.finish()
      await Promise.all(workers.map(async worker => { await worker.close() }))
    }
  }
}
