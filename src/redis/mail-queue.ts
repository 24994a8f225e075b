/** Mail waits in a queue of its own, sealed, so that an answer never waits for a mail server. */
import { Queue, UnrecoverableError, Worker } from 'bullmq'
import type { RedisClient } from './servers.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { queuePrefix } from './event-queue.ts'

const mailQueueName = 'mail'
const rememberedSeconds = 3600

/** `sealed` holds address and content; past `expiresAt` (epoch ms) the letter is of no use and is dropped. */
interface MailJob { sealed: string, expiresAt: number }

export interface MailQueue {
  /** Of letters with one id, at most one is taken, as long as the first waits and for an hour after it was sent. */
  add: (sealed: string, expiresAt: number, id?: string) => Promise<void>
  pending: () => Promise<number>
  close: () => Promise<void>
}

export function makeMailQueue (redis: RedisClient): MailQueue {
  const queue = new Queue<MailJob>(mailQueueName, {
    connection: redis,
    prefix: queuePrefix,
    skipWaitingForReady: true,
    skipVersionCheck: true, // The worker checks. Here an answer that comes too late would leave the queue of no use for good.
    streams: { events: { maxLen: 100 } },
    defaultJobOptions: { attempts: 1000, backoff: { type: 'custom' }, removeOnComplete: true, removeOnFail: true, keepLogs: 0, stackTraceLimit: 0 }
  })
  queue.on('error', () => {}) // Every call reports its own failure.
  return {
    async add (sealed, expiresAt, id) {
      try {
        await queue.add('letter', { sealed, expiresAt }, id === undefined ? {} : { jobId: id, removeOnComplete: { age: rememberedSeconds } })
      } catch (cause) {
        throw new Unavailable('the mail queue', { cause })
      }
    },
    pending: async () => await queue.getJobCountByTypes('waiting', 'active', 'delayed'),
    close: async () => { await queue.close() }
  }
}

export interface MailWorkerOptions {
  deliver: (sealed: string) => Promise<void>
  now: () => number
  onLetter: (outcome: 'sent' | 'failed' | 'expired') => void
  onTrouble: (what: 'mail-failed') => void
}

export function startMailWorker (redis: RedisClient, { deliver, now, onLetter, onTrouble }: MailWorkerOptions): { close: () => Promise<void> } {
  const worker = new Worker<MailJob>(mailQueueName, async job => {
    if (now() >= job.data.expiresAt) {
      onLetter('expired')
      throw new UnrecoverableError('expired')
    }
    try {
      await deliver(job.data.sealed)
      onLetter('sent')
    } catch {
      // The queue keeps what a failure says, and a mail server's answer may name the address.
      onLetter('failed')
      onTrouble('mail-failed')
      throw new Error('mail-failed')
    }
  }, {
    connection: redis,
    prefix: queuePrefix,
    concurrency: 5,
    settings: { backoffStrategy: attemptsMade => Math.min(1000 * 2 ** (attemptsMade - 1), 30_000) }
  })
  worker.on('error', () => {})
  return { close: async () => { await worker.close() } }
}
