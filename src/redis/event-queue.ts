/** The durable queue between intake and the writer: BullMQ, one job for the batches that arrive together. */
import { Queue } from 'bullmq'
import type { RedisClient } from './servers.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { EventQueue, QueueBooks, QueuedBatch, QueuedEvents, QueuedHead } from '../flows/ports.ts'
import { makeCompressor } from './compressor.ts'
import { inGroups } from './group-commit.ts'
import { headsOf, toJobData, type JobData } from './job-data.ts'

export const eventQueueName = 'events'
/** One hash tag for all keys of the queues, as Redis Cluster needs. */
export const queuePrefix = '{assent}'

/** Each job says so, in as few characters as there are: without end. */
export const jobOptions = {
  attempts: 1e9,
  backoff: { type: 'custom' },
  removeOnComplete: true,
  stackTraceLimit: 0
}

/**
 * A job holds up to this many batches, and this many characters of them before they are compressed; a batch with more has a
 * job to itself. Jobs are what is counted, taken, and tried again, so none is much more than a large batch.
 */
const jobBatchesMax = 64
const jobSizeMax = 80 * 1024
/** What gathers while two rounds of jobs are on their way to the disk goes next, or after this time: a slow disk gathers by itself. */
const roundsMax = 2
const patienceMs = 5

export interface QueueDepth {
  /** Jobs that wait, are being stored, or wait to be tried again. */
  pending: number
  /** Jobs that were given up. */
  dead: number
  /** Age of the oldest job that is not stored yet, ms; 0 when there is none. */
  oldestAgeMs: number
}

export interface EventQueueHandle extends EventQueue, QueueBooks {
  depth: () => Promise<QueueDepth>
  /** How many jobs are not stored yet; cheaper than `depth`. */
  pending: () => Promise<number>
  close: () => Promise<void>
}

export function makeEventQueue (redis: RedisClient): EventQueueHandle {
  const queue = new Queue<JobData>(eventQueueName, {
    connection: redis,
    prefix: queuePrefix,
    skipWaitingForReady: true,
    skipVersionCheck: true, // The worker checks. Here an answer that comes too late would leave the queue of no use for good.
    streams: { events: { maxLen: 100 } },
    defaultJobOptions: jobOptions
  })
  queue.on('error', () => {}) // Every call reports its own failure.
  const compressor = makeCompressor()
  const add = inGroups<QueuedBatch, unknown>({
    send: async batches => {
      const job = await queue.add('batches', await toJobData(batches, compressor.compress))
      return batches.map(() => job.id)
    },
    sizeOf: ({ body }) => body.length,
    sizeMax: jobSizeMax,
    itemsMax: jobBatchesMax,
    roundsMax,
    patienceMs
  })
  return {
    async add (batch) {
      try {
        await add(batch)
      } catch (cause) {
        throw new Unavailable('the queue', { cause })
      }
    },
    async depth () {
      const [counts, ...oldest] = await Promise.all([
        queue.getJobCounts('waiting', 'active', 'delayed', 'failed'),
        queue.getJobs(['waiting'], 0, 0, true),
        queue.getJobs(['active'], 0, 0, true)
      ])
      const since = oldest.flat().map(job => job.timestamp)
      return {
        pending: (counts['waiting'] ?? 0) + (counts['active'] ?? 0) + (counts['delayed'] ?? 0),
        dead: counts['failed'] ?? 0,
        oldestAgeMs: since.length === 0 ? 0 : Math.max(0, Date.now() - Math.min(...since))
      }
    },
    pending: async () => await queue.getJobCountByTypes('waiting', 'active', 'delayed'),
    async pendingAndDead (received) {
      const books: QueuedEvents = { pending: 0, dead: 0, dropped: 0, rejected: 0, requestIds: [] }
      const counted = new Set<string>()
      try {
        // The ids of all states are read in one step each; of a job that is gone by the time it is looked at, ClickHouse knows.
        const dead = new Set(await queue.getRanges(['failed'], 0, -1))
        const jobs = [...new Set([...dead, ...await queue.getRanges(['waiting', 'prioritized', 'active', 'delayed'], 0, -1)])]
        for (let from = 0; from < jobs.length; from += pageJobs) {
          const page = jobs.slice(from, from + pageJobs)
          const found = await Promise.all(page.map(async id => await redis.hget(queue.toKey(id), 'data')))
          for (const [index, data] of found.entries()) {
            for (const batch of data === null ? [] : headsOf(JSON.parse(data) as JobData)) {
              // While a job is parted its batches lie in two.
              if (!counted.has(batch.requestId)) addBatch(books, batch, dead.has(page[index] ?? ''), received)
              counted.add(batch.requestId)
            }
          }
        }
      } catch (cause) {
        throw new Unavailable('the queue', { cause })
      }
      return books
    },
    close: async () => {
      await queue.close()
      compressor.close()
    }
  }
}

/** How many jobs are held in memory at once to be counted. */
const pageJobs = 100

function addBatch (books: QueuedEvents, { requestId, receivedAt, counts }: QueuedHead, isDead: boolean, received?: { from: number, to: number }): void {
  if (received !== undefined && (receivedAt < received.from || receivedAt >= received.to)) return
  books.requestIds.push(requestId)
  for (const { outcome, count } of counts) {
    if (outcome === 'accepted') books[isDead ? 'dead' : 'pending'] += count
    else if (outcome === 'dropped' || outcome === 'rejected') books[outcome] += count
  }
}
