/** Takes batches from the queue, gathers their rows into one insert, and acknowledges what is stored. */
import { DelayedError, Worker, type Job } from 'bullmq'
import type { RedisClient } from './servers.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { QueuedBatch } from '../flows/ports.ts'
import type { StoredBatches } from '../flows/store-events.ts'
import { eventQueueName, queuePrefix } from './event-queue.ts'
import { fromJobData, type JobData } from './job-data.ts'
import { bringForward, shortenExpiries } from './put-off.ts'
import { batchKey } from './queued-batches.ts'

export interface EventWorkerOptions {
  /** Stores batches, or throws `Unavailable` to be asked again. `again`: whether that may have been tried before. */
  store: (batches: readonly QueuedBatch[], again: boolean) => Promise<StoredBatches>
  /** Whether this version knows the form of a batch. One that it does not know is parked, and `store` is not asked. */
  isReadable: (batch: QueuedBatch) => boolean
  onStored: (stored: StoredBatches, batches: number, durationMs: number) => void
  onTrouble: (what: 'store-unavailable' | 'batch-failed' | 'batch-dead' | 'batch-parked' | 'lock-lost', error?: Error) => void
  flushRowsMax: number
  flushWaitMs: number
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

interface Waiting { batch: QueuedBatch, again: boolean, begin?: () => Promise<void>, done: () => void, failed: (error: Error) => void }

const retryFromMs = 200
const retryToMs = 5000
/** How often a batch may be started before it is set aside: one that kills the process is found by this. */
const startsMax = 25
/** For how long a batch that has failed is put off, at most, and how often it is looked whether one was put off for longer. */
const putOffMaxMs = 60_000
const putOffLookMs = 10_000
const lockMs = 6000
/** How often it is looked for batches of writers that have died. */
const stalledLookMs = 3000

export function startEventWorker (redis: RedisClient, options: EventWorkerOptions): EventWorker {
  const startedAt = Date.now()
  let closing = false
  let held = false
  let storing = false
  /** Whether what has been gathered has waited long enough. */
  let due = false
  let gathered: Waiting[] = []
  let gatheredRows = 0
  /** What has failed or stalled before: it is stored by itself, so that it can spoil nothing else. */
  const alone: Waiting[] = []
  let timer: NodeJS.Timeout | undefined

  const next = (): Waiting[] | undefined => {
    if (held) return undefined
    const single = alone.shift()
    if (single !== undefined) return [single]
    if (gathered.length === 0 || (!due && gatheredRows < options.flushRowsMax)) return undefined
    const taken = gathered
    clearTimeout(timer)
    timer = undefined
    due = false
    gathered = []
    gatheredRows = 0
    return taken
  }

  /** One insert at a time: what arrives meanwhile makes the next one larger. */
  const storeWaiting = async (): Promise<void> => {
    if (storing) return
    storing = true
    for (let taken = next(); taken !== undefined; taken = next()) await storeAll(taken)
    storing = false
  }

  const storeAll = async (taken: readonly Waiting[]): Promise<void> => {
    const started = performance.now()
    try {
      await taken[0]?.begin?.()
      const stored = await storeUntilReachable(taken.map(({ batch }) => batch), taken.some(({ again }) => again))
      options.onStored(stored, taken.length, performance.now() - started)
      for (const { done } of taken) done()
    } catch (error) {
      // The queue keeps what a failure says, so it must say nothing of the data.
      const failure = new Error(error instanceof Unavailable ? 'store-unavailable' : 'batch-failed', { cause: error })
      options.onTrouble(failure.message as 'store-unavailable' | 'batch-failed', error as Error)
      for (const { failed } of taken) failed(new Error(failure.message))
    }
  }

  const storeUntilReachable = async (batches: readonly QueuedBatch[], triedBefore: boolean): Promise<StoredBatches> => {
    let again = triedBefore
    for (let waitMs = retryFromMs; ; waitMs = Math.min(waitMs * 2, retryToMs)) {
      try {
        return await options.store(batches, again)
      } catch (error) {
        if (!(error instanceof Unavailable) || closing) throw error
        again = true
        options.onTrouble('store-unavailable', error)
        await new Promise(resolve => setTimeout(resolve, waitMs))
      }
    }
  }

  /** Keeps a batch for a writer that knows its form, however long none comes: starts that led to nothing do not count. */
  const park = async (job: Job<JobData>, token: string | undefined): Promise<never> => {
    options.onTrouble('batch-parked')
    await redis.hset(batchKey(job.id ?? ''), 'ats', 0)
    await job.moveToDelayed(Date.now() + options.parkMs, token)
    throw new DelayedError()
  }

  /** A batch that waits behind another has not begun: if that one kills the process, this one is not to blame. */
  const countStart = async (job: Job<JobData>, by: 1 | -1): Promise<void> => {
    await redis.hincrby(batchKey(job.id ?? ''), 'ats', by).catch((error: unknown) => { throw new Unavailable('the queue', { cause: error }) })
  }

  const process = async (job: Job<JobData>, token?: string): Promise<void> => {
    const batch = fromJobData(job.data)
    if (!options.isReadable(batch)) return await park(job, token)
    const retried = job.attemptsMade > 0 || job.stalledCounter > 0
    if (retried) await countStart(job, -1)
    await new Promise<void>((resolve, reject) => {
      // What was queued before this writer started may come from a backup of Redis, and be stored already.
      const waiting = { batch, again: retried || job.timestamp < startedAt, done: resolve, failed: reject }
      if (retried) {
        alone.push({ ...waiting, begin: async () => { await countStart(job, 1) } })
      } else {
        gathered.push(waiting)
        gatheredRows += acceptedOf(batch)
        timer ??= setTimeout(() => {
          due = true
          void storeWaiting()
        }, options.flushWaitMs)
      }
      void storeWaiting()
    })
  }

  const worker = new Worker<JobData>(eventQueueName, process, {
    connection: redis,
    prefix: queuePrefix,
    concurrency: 400,
    lockDuration: lockMs,
    stalledInterval: stalledLookMs,
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    maxStartedAttempts: startsMax,
    settings: { backoffStrategy: attemptsMade => Math.min(1000 * 2 ** (attemptsMade - 1), putOffMaxMs) }
  })
  worker.on('error', error => { if (error.message.includes('lock')) options.onTrouble('lock-lost', error) })
  worker.on('failed', (job, error) => { if (job !== undefined && job.attemptsStarted >= startsMax) options.onTrouble('batch-dead', error) })

  const look = (): void => {
    bringForward(redis, worker, Date.now() + Math.max(2 * putOffMaxMs, 2 * options.parkMs))
      .then(async () => { await shortenExpiries(redis, lockMs, stalledLookMs) })
      .catch(() => {}) // It is looked again.
  }
  look()
  const looking = setInterval(look, putOffLookMs)

  const resume = (): void => {
    held = false
    void storeWaiting()
  }

  return {
    pause: () => { held = true },
    resume,
    async close () {
      closing = true
      clearInterval(looking)
      resume()
      await worker.close()
    }
  }
}

function acceptedOf ({ counts }: QueuedBatch): number {
  return counts.reduce((sum, { outcome, count }) => outcome === 'accepted' ? sum + count : sum, 0)
}
