import { randomUUID } from 'node:crypto'
import { Queue } from 'bullmq'
import t from 'tap'
import { connectForWorker } from '../../src/redis/client.ts'
import { eventQueueName, queuePrefix } from '../../src/redis/event-queue.ts'
import { startEventWorker } from '../../src/redis/event-worker.ts'
import { toJobData } from '../../src/redis/job-data.ts'
import { startRedis } from '../support/redis.ts'
import { eventually } from '../support/service.ts'

t.test('a batch that a writer with a clock ahead has put off for hours is stored by the next, and one that is put off for a moment waits', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = new Queue(eventQueueName, { connection: redis, prefix: queuePrefix })
  t.teardown(async () => { await queue.close() })
  const putOff = async (requestId: string, delay: number): Promise<void> => {
    await queue.add('batch', toJobData({
      schema: 2, requestId, owner: { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined },
      product: 'cad', release: 2026, receivedAt: Date.now(), body: '', counts: []
    }), { delay })
  }
  const far = Array.from({ length: 5 }, () => randomUUID())
  for (const id of far) await putOff(id, 6 * 3_600_000)
  await putOff('a moment', 60_000)

  const stored: string[] = []
  const connection = connectForWorker({ socketPath })
  const worker = startEventWorker(connection, {
    isReadable: () => true,
    async store (batches) {
      stored.push(...batches.map(({ requestId }) => requestId))
      return await Promise.resolve({ stored: 0, dropped: new Map(), failed: 0 })
    },
    onStored: () => {}, onTrouble: () => {}, flushRowsMax: 100, flushWaitMs: 10, parkMs: 20
  })
  t.teardown(async () => { await worker.close(); connection.disconnect() })
  await eventually('all that was put off too far is stored', async () => await Promise.resolve(stored.length >= far.length))
  t.same(stored.toSorted(), far.toSorted())
  t.equal(await queue.getDelayedCount(), 1)
})
