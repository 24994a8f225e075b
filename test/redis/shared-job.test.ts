import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { connectForWorker } from '../../src/redis/client.ts'
import { makeEventQueue } from '../../src/redis/event-queue.ts'
import { startEventWorker, type EventWorker } from '../../src/redis/event-worker.ts'
import { batchKey } from '../../src/redis/queued-batches.ts'
import { heldBatches, makeQueuedBatch } from '../support/queued.ts'
import { startRedis } from '../support/redis.ts'
import { eventually } from '../support/service.ts'

const named = (...names: string[]): QueuedBatch[] => names.map(name => makeQueuedBatch({ body: name, requestId: randomUUID() }))

/** `deadly`: bodies that cannot be stored. Resolves with what was stored, in one line for each insert. */
function startWriter (t: Test, socketPath: string, deadly: readonly string[] = []): { worker: EventWorker, stored: string[] } {
  const stored: string[] = []
  const connection = connectForWorker({ socketPath })
  const worker = startEventWorker(connection, {
    isReadable: () => true,
    async store (batches) {
      if (batches.some(({ body }) => deadly.includes(body))) throw new Error('deadly')
      stored.push(batches.map(({ body }) => body).join())
      return await Promise.resolve({ stored: 0, dropped: new Map(), failed: 0 })
    },
    onStored: () => {}, onTrouble: () => {}, flushRowsMax: 100, flushSizeMax: 100_000, flushWait: { quietMs: 10, busyRows: 100, busyMs: 10 }, parkMs: 20
  })
  t.teardown(async () => { await worker.close(); connection.disconnect() })
  return { worker, stored }
}

t.test('batches that are added at once share a job, a large one has its own, and each is stored', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  const large = 'l'.repeat(90_000)
  await Promise.all(named('a', 'b', large, 'c').map(queue.add))
  const jobs = Map.groupBy(await heldBatches(redis), ({ jobId }) => jobId)
  t.same([...jobs.values()].map(batches => batches.map(({ batch }) => batch.body.slice(0, 1)).join()).sort(), ['a,b', 'c', 'l'])
  t.match(await queue.depth(), { pending: 3, dead: 0 })
  const { stored } = startWriter(t, socketPath)
  await eventually('all are stored', async () => (await queue.depth()).pending === 0)
  t.same(stored.join().split(',').sort(), ['a', 'b', 'c', large])
})

t.test('an add that fails fails its batches, and no others', async t => {
  const { redis } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  await redis.config('SET', 'maxmemory', '1')
  const refused = await Promise.allSettled(named('a', 'b').map(queue.add))
  t.match(refused, [{ status: 'rejected', reason: { name: 'Unavailable' } }, { status: 'rejected', reason: { name: 'Unavailable' } }])
  await redis.config('SET', 'maxmemory', '0')
  await Promise.all(named('c', 'd').map(queue.add))
  t.same((await heldBatches(redis)).map(({ batch }) => batch.body), ['c', 'd'])
})

t.test('of a job that cannot be stored only the batch is given up that cannot', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  const batches = named('a', 'deadly', 'b')
  await Promise.all(batches.map(queue.add))
  const [job] = await redis.lrange(batchKey('wait'), 0, -1)
  // As it is when a writer has ended while it was at this job alone.
  await redis.hset(batchKey(job!), { starts: 1, stc: 2 })
  const { stored } = startWriter(t, socketPath, ['deadly'])
  await eventually('its neighbours are stored', async () => await Promise.resolve(stored.length === 2))
  t.same(stored.toSorted(), ['a', 'b'])
  const part = batches[1]!.requestId
  await eventually('it is put off', async () => await redis.zscore(batchKey('delayed'), part) !== null)
  t.equal(await redis.hget(batchKey(part), 'starts'), '1', 'what was spent on parting does not count')
  t.equal(await redis.exists(batchKey(job!)), 0)
  await redis.hset(batchKey(part), 'starts', 25)
  await eventually('it is given up', async () => (await queue.depth()).dead === 1, 10_000)
  t.match(await heldBatches(redis), [{ jobId: part, dead: true, batch: { body: 'deadly' } }])
})

t.test('a job is tried by itself before it is parted', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  await Promise.all(named('a', 'b').map(queue.add))
  const [job] = await redis.lrange(batchKey('wait'), 0, -1)
  await redis.hset(batchKey(job!), { stc: 1 })
  const { stored } = startWriter(t, socketPath)
  await eventually('all are stored', async () => (await queue.depth()).pending === 0)
  t.same(stored, ['a,b'])
})

t.test('a kill in the middle of parting adds nothing twice', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  const batches = named('a', 'b')
  await Promise.all(batches.map(queue.add))
  const [job] = await redis.lrange(batchKey('wait'), 0, -1)
  await redis.hset(batchKey(job!), { starts: 1, stc: 2 })
  const part = batches[0]!.requestId
  // The first part was added, and has been given up since.
  await redis.copy(batchKey(job!), batchKey(part))
  await redis.zadd(batchKey('failed'), 1, part)
  const { stored } = startWriter(t, socketPath)
  await eventually('the rest is stored', async () => (await queue.depth()).pending === 0)
  t.same(stored, ['b'])
  t.match(await queue.depth(), { dead: 1 })
  await redis.del(batchKey(part))
})

t.test('the books count each batch of a job, and none twice while its job is parted', async t => {
  const { redis } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  const counts = [{ event: 'e', version: 1, purpose: 'p', outcome: 'accepted' as const, reason: 'r', count: 3 }]
  await Promise.all(named('a', 'b').map(batch => ({ ...batch, counts })).map(queue.add))
  const [job] = await redis.lrange(batchKey('wait'), 0, -1)
  t.match(await queue.pendingAndDead(), { pending: 6, dead: 0, requestIds: [String, String] })
  await redis.copy(batchKey(job!), batchKey('copy'))
  await redis.lpush(batchKey('wait'), 'copy')
  t.match(await queue.pendingAndDead(), { pending: 6, dead: 0 })
})
