import { randomUUID } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import t, { type Test } from 'tap'
import { connectForWorker } from '../../src/redis/client.ts'
import { eventQueueName, queuePrefix } from '../../src/redis/event-queue.ts'
import { startEventWorker, type EventWorker } from '../../src/redis/event-worker.ts'
import { toJobData, type JobData } from '../../src/redis/job-data.ts'
import { batchKey } from '../../src/redis/queued-batches.ts'
import { startRedis } from '../support/redis.ts'
import { eventually } from '../support/service.ts'

const sixHoursMs = 6 * 3_600_000

const batch = async (requestId: string): Promise<JobData> => await toJobData([{
  schema: 5, requestId, owner: { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined },
  product: 'cad', release: 2026, receivedAt: Date.now(), body: '', counts: []
}])

function startWriter (t: Test, socketPath: string, stored: string[]): EventWorker {
  const connection = connectForWorker({ socketPath })
  const worker = startEventWorker(connection, {
    isReadable: () => true,
    async store (batches) {
      stored.push(...batches.map(({ requestId }) => requestId))
      return await Promise.resolve({ stored: 0, dropped: new Map(), failed: 0 })
    },
    onStored: () => {}, onTrouble: () => {}, flushRowsMax: 100, flushSizeMax: 100_000, flushWait: { quietMs: 10, busyRows: 100, busyMs: 10 }, parkMs: 20
  })
  t.teardown(async () => { await worker.close(); connection.disconnect() })
  return worker
}

t.test('a batch that a writer with a clock ahead has put off for hours is stored by the next, and one that is put off for a moment waits', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = new Queue(eventQueueName, { connection: redis, prefix: queuePrefix })
  t.teardown(async () => { await queue.close() })
  const far = Array.from({ length: 5 }, () => randomUUID())
  for (const id of far) await queue.add('batch', await batch(id), { delay: sixHoursMs })
  await queue.add('batch', await batch('a moment'), { delay: 60_000 })

  const stored: string[] = []
  startWriter(t, socketPath, stored)
  await eventually('all that was put off too far is stored', async () => await Promise.resolve(stored.length >= far.length))
  t.same(stored.toSorted(), far.toSorted())
  t.equal(await queue.getDelayedCount(), 1)
})

t.test('a batch of a dead writer, locked by a Redis whose clock was ahead, is taken up by the next', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = new Queue(eventQueueName, { connection: redis, prefix: queuePrefix })
  t.teardown(async () => { await queue.close() })
  await queue.add('batch', await batch('held'))
  const connection = connectForWorker({ socketPath })
  const dead = new Worker(eventQueueName, null, { connection, prefix: queuePrefix, autorun: false, skipStalledCheck: true, skipLockRenewal: true })
  t.teardown(async () => { await dead.close(true); connection.disconnect() })
  const job = await dead.getNextJob('its token')
  await redis.pexpire(batchKey(`${job.id!}:lock`), sixHoursMs)
  await redis.set(batchKey('stalled-check'), 'now', 'PX', sixHoursMs)

  const stored: string[] = []
  startWriter(t, socketPath, stored)
  await eventually('it is stored', async () => await Promise.resolve(stored.length > 0), 40_000)
  t.same(stored, ['held'])
})
