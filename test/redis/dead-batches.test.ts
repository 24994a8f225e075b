import t from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { connectForWorker } from '../../src/redis/client.ts'
import { offerDeadAgain } from '../../src/redis/dead-batches.ts'
import { makeEventQueue } from '../../src/redis/event-queue.ts'
import { startEventWorker } from '../../src/redis/event-worker.ts'
import { makeErasureQueue } from '../../src/redis/erasure-queue.ts'
import { batchKey } from '../../src/redis/queued-batches.ts'
import { heldBatches, type HeldBatch } from '../support/queued.ts'
import { startRedis } from '../support/redis.ts'
import { eventually } from '../support/service.ts'

const batch: QueuedBatch = {
  schema: 5, requestId: '', owner: { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined },
  product: 'cad', release: 2026, receivedAt: Date.now(), body: '', counts: []
}

t.test('batches that were given up are offered again, each by itself and as often as a new one', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  for (const requestId of ['a', 'b', 'c', 'd']) await queue.add({ ...batch, requestId })
  for (const { jobId, batch: { requestId } } of await heldBatches(redis)) {
    if (requestId === 'c' || requestId === 'd') continue
    await redis.multi().lrem(batchKey('wait'), 1, jobId).zadd(batchKey('failed'), Date.now(), jobId).hset(batchKey(jobId), 'starts', 26, 'atm', 1, 'failedReason', 'started too often').exec()
  }
  t.match(await queue.depth(), { pending: 2, dead: 2 })

  t.equal(await offerDeadAgain(redis, () => {}), 2)
  t.match(await queue.depth(), { pending: 4, dead: 0 })
  t.equal(await offerDeadAgain(redis, () => {}), 0, 'nothing is left to be offered')

  const stored: string[][] = []
  const connection = connectForWorker({ socketPath })
  const worker = startEventWorker(connection, {
    isReadable: () => true,
    async store (batches) {
      stored.push(batches.map(({ requestId }) => requestId))
      return await Promise.resolve({ stored: 0, dropped: new Map(), failed: 0 })
    },
    onStored: () => {}, onTrouble: () => {}, flushRowsMax: 100, flushSizeMax: 100_000, flushWait: { quietMs: 50, busyRows: 100, busyMs: 50 }, parkMs: 20
  })
  t.teardown(async () => { await worker.close(); connection.disconnect() })
  await eventually('all are stored', async () => (await queue.depth()).pending === 0)
  t.same(stored.sort(), [['a'], ['b'], ['c', 'd']])
})

t.test('a batch that is gone from a job that was given up is not put back', async t => {
  const { redis } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  await Promise.all(['a', 'b'].map(async requestId => { await queue.add({ ...batch, requestId }) }))
  const [{ jobId }] = await heldBatches(redis) as [HeldBatch]
  await redis.multi().lrem(batchKey('wait'), 1, jobId).zadd(batchKey('failed'), Date.now(), jobId).exec()
  const { remove, replace } = makeErasureQueue(redis)
  await remove({ jobId, requestId: 'a' })
  await replace({ jobId, requestId: 'a' }, { ...batch, requestId: 'a' })
  t.same((await heldBatches(redis)).map(held => held.batch.requestId), ['b'])
})
