/** What Redis keeps for a queued event and for an account that has chosen, and whether many accounts slow intake down. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { encodeRecord, recordKey } from '../src/redis/consent-store.ts'
import { withCollector } from './collector.ts'
import { median, spreadOf } from './figures.ts'
import { postForSeconds, postOnce } from './load.ts'
import { connections, type Options } from './part.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchTexts } from './traffic.ts'

const batches = 2000
const people = 8
const crowds = [1000, 100_000, 1_000_000]

export async function measureMemory ({ runs, seconds, say }: Options): Promise<Row[]> {
  return await withCollector(people, async ({ url, token, tokens, redis }) => {
    const bodies = makeBatchTexts(batches)
    const empty = await usedBytes(redis)
    await postOnce({ url, token, bodies, connections })
    const perEvent = (await usedBytes(redis) - empty) / (batches * eventsPerBatch)
    const raw = Buffer.byteLength(bodies.join('')) / (batches * eventsPerBatch)

    const before = await usedBytes(redis)
    const rates: number[][] = []
    let perAccount = 0
    for (const [index, crowd] of crowds.entries()) {
      say(`memory: ${String(crowd)} accounts choose…`)
      await choose(redis, crowds[index - 1] ?? 0, crowd)
      perAccount = (await usedBytes(redis) - before) / crowd
      await dropQueue(redis)
      await atRest(redis)
      const seen: number[] = []
      for (let run = 0; run <= runs; run++) {
        const posted = await Promise.all(tokens.map(async someone =>
          await postForSeconds({ url, token: someone, bodies: bodies.slice(0, 20), connections: connections / people, seconds })))
        if (run > 0) seen.push(posted.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0) * eventsPerBatch)
      }
      rates.push(seen)
      say(`memory: ${median(seen).toFixed(0)} events/s with ${String(crowd)} accounts`)
    }
    const [few = [], , most = []] = rates
    return [
      {
        what: 'bytes in Redis for a queued event',
        value: perEvent,
        unit: 'bytes',
        against: { what: 'the event as JSON', value: raw },
        target: { ratioAtMost: 0.25 },
        spread: 0
      },
      {
        what: 'bytes in Redis for an account that has chosen',
        value: perAccount,
        unit: 'bytes',
        target: { atMost: 600 },
        spread: 0
      },
      {
        what: 'accepted events/s with 1,000,000 accounts',
        value: median(most),
        unit: 'events/s',
        against: { what: 'with 1,000', value: median(few) },
        target: { ratioAtLeast: 0.95 },
        spread: spreadOf(few, most)
      }
    ]
  })
}

async function usedBytes (redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
}

/** Waits until Redis has no file to rewrite, as it has after a million records. */
async function atRest (redis: Redis): Promise<void> {
  do await sleep(1000); while (/^aof_rewrite_(?:in_progress|scheduled):1/m.test(await redis.info('persistence')))
}

/** Records as a person leaves them who has answered for one purpose. */
async function choose (redis: Redis, from: number, to: number): Promise<void> {
  const since = Date.now()
  for (let start = from; start < to; start += 10_000) {
    const pipeline = redis.pipeline()
    for (let i = start; i < Math.min(start + 10_000, to); i++) {
      const choice = { state: 'granted', since, deniedUntil: 0, entry: randomUUID(), notice: '2026-01' } as const
      pipeline.set(recordKey({ kind: 'account', id: `account-${String(i)}` }), encodeRecord({
        revision: 1, head: 'f'.repeat(64), account: { product_analytics: choice }, devices: {}, erasedAt: 0
      }))
    }
    await pipeline.exec()
  }
}

/** Takes what waits out of the queue, so that the next measurement starts as the last one did. */
async function dropQueue (redis: Redis): Promise<void> {
  const jobs = await redis.lrange('{assent}:events:wait', 0, -1)
  for (let from = 0; from < jobs.length; from += 1000) await redis.unlink(...jobs.slice(from, from + 1000).map(id => `{assent}:events:${id}`))
  await redis.unlink('{assent}:events:wait')
}
