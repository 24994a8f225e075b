import t from 'tap'
import { connectForWorker } from '../../src/redis/client.ts'
import { makeEventQueue } from '../../src/redis/event-queue.ts'
import { startEventWorker } from '../../src/redis/event-worker.ts'
import { batchKey } from '../../src/redis/queued-batches.ts'
import { heldBatches } from '../support/queued.ts'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { startRedis } from '../support/redis.ts'
import { eventually } from '../support/service.ts'

const batch: QueuedBatch = {
  schema: 5, requestId: '', owner: { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined },
  product: 'cad', release: 2026, receivedAt: Date.now(), body: '', counts: []
}
const names = ['a', 'b', 'c', 'd']

t.test('of batches that are tried again one by one, only that whose turn has come counts as started', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  let goOn = (): void => {}
  const held = new Promise<void>(resolve => { goOn = resolve })
  const begun: string[][] = []
  const connection = connectForWorker({ socketPath })
  const worker = startEventWorker(connection, {
    isReadable: () => true,
    async store (batches, again) {
      if (!again) throw new Error('all fail together')
      begun.push(batches.map(({ requestId }) => requestId))
      await held
      return { stored: 0, dropped: new Map(), failed: 0 }
    },
    onStored: () => {}, onTrouble: () => {}, flushRowsMax: 100, flushSizeMax: 100_000, flushWait: { quietMs: 200, busyRows: 100, busyMs: 200 }, parkMs: 20
  })
  t.teardown(async () => { goOn(); await worker.close(); connection.disconnect() })

  for (const requestId of names) await queue.add({ ...batch, requestId })

  const starts = async (): Promise<Record<string, number>> => {
    const found: Record<string, number> = {}
    for (const { jobId, batch: { requestId } } of await heldBatches(redis)) found[requestId] = Number(await redis.hget(batchKey(jobId), 'starts'))
    return found
  }
  const taken = async (): Promise<number> => await redis.llen(batchKey('active'))
  await eventually('all have been taken once more', async () => begun.length === 1 && await taken() === names.length)
  const [[first] = []] = begun
  await eventually('none but the first has started', async () => {
    const found = await starts()
    return names.every(name => found[name] === (name === first ? 1 : 0))
  })
  goOn()
  await eventually('all are stored', async () => (await queue.depth()).pending === 0)
  t.same(begun.map(({ length }) => length), [1, 1, 1, 1])
})

t.test('of a job that another writer has had stored meanwhile nothing comes back', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  let tries = 0
  const connection = connectForWorker({ socketPath })
  const worker = startEventWorker(connection, {
    isReadable: () => true,
    async store () {
      tries++
      worker.pause()
      return await Promise.reject(new Error('the first time'))
    },
    onStored: () => {}, onTrouble: () => {}, flushRowsMax: 100, flushSizeMax: 100_000, flushWait: { quietMs: 10, busyRows: 100, busyMs: 10 }, parkMs: 20
  })
  t.teardown(async () => { await worker.close(); connection.disconnect() })
  await queue.add({ ...batch, requestId: 'a' })

  await eventually('it has been taken again, and waits for its turn', async () => tries === 1 && await redis.zcard(batchKey('delayed')) === 0 && await redis.llen(batchKey('active')) === 1)
  const [jobId = ''] = await redis.lrange(batchKey('active'), 0, -1)
  await redis.multi().del(batchKey(jobId)).lrem(batchKey('active'), 0, jobId).exec()
  worker.resume()
  await queue.add({ ...batch, requestId: 'b' })
  await eventually('the next is tried', async () => await Promise.resolve(tries === 2))
  t.equal(await redis.exists(batchKey(jobId)), 0)
})
