import { Queue } from 'bullmq'
import t from 'tap'
import { startEventWorker, type EventWorker } from '../../src/redis/event-worker.ts'
import { connectForWorker } from '../../src/redis/client.ts'
import { eventQueueName, makeEventQueue, queuePrefix } from '../../src/redis/event-queue.ts'
import { toJobData } from '../../src/redis/job-data.ts'
import { isReadable, type QueuedBatch } from '../../src/flows/ports.ts'
import { heartbeat, makeEvent, signIn } from '../support/api.ts'
import { startRedis } from '../support/redis.ts'
import { eventually, startTestService } from '../support/service.ts'

const batch: QueuedBatch = {
  schema: 5, requestId: '5b0c3a52-6f0e-4a53-9c0e-0d3f9f6f1a10', owner: { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined },
  product: 'cad', release: 2026, receivedAt: Date.now(), body: '', counts: []
}
const ofNext = (requestId: string): QueuedBatch => ({ ...batch, requestId, schema: 6 as 5 })

t.test('a batch of a newer version is parked however long, holds up no other, and is stored by a writer that knows it', async t => {
  const { redis, socketPath } = await startRedis(t)
  const queue = makeEventQueue(redis)
  t.teardown(queue.close)
  const stored: string[] = []
  let parked = 0
  const startWriter = (knows: (batch: QueuedBatch) => boolean): EventWorker => {
    const connection = connectForWorker({ socketPath })
    const worker = startEventWorker(connection, {
      isReadable: knows,
      store: async batches => {
        stored.push(...batches.map(({ requestId }) => requestId))
        return await Promise.resolve({ stored: 0, dropped: new Map(), failed: 0 })
      },
      onStored: () => {},
      onTrouble: what => { if (what === 'batch-parked') parked++ },
      flushRowsMax: 100,
      flushSizeMax: 100_000,
      flushWait: { quietMs: 10, busyRows: 100, busyMs: 10 },
      parkMs: 20
    })
    t.teardown(async () => { await worker.close(); connection.disconnect() })
    return worker
  }

  const old = startWriter(isReadable)
  await queue.add(ofNext('new'))
  await eventually('it was parked more often than a batch may be started', async () => await Promise.resolve(parked > 40))
  await queue.add(batch)
  await eventually('the other is stored', async () => await Promise.resolve(stored.includes(batch.requestId)))
  t.match(await queue.depth(), { pending: 1, dead: 0 }, 'it is still there, and not given up')
  t.same(stored, [batch.requestId])
  await old.close()
  startWriter(() => true)
  await eventually('it is stored', async () => (await queue.depth()).pending === 0)
  t.same(stored, [batch.requestId, 'new'])
})

t.test('a service that finds a batch of a newer version says so, and stores what it knows', async t => {
  const service = await startTestService(t)
  const ada = await signIn(service, 'ada')
  const queue = new Queue(eventQueueName, { connection: service.redis, prefix: queuePrefix })
  await queue.add('batches', await toJobData([ofNext('new')]), { attempts: 3 })
  t.equal((await service.post(ada.token, { events: [makeEvent(heartbeat)] })).status, 202)
  await eventually('the known one is stored', async () => await service.count('events_v') === 1)
  // Its row is there before its job is gone.
  await eventually('only the other waits', async () => (await service.call('GET', '/health/ready')).body['pending'] === 1)
  const text = await (await fetch(`${service.service.url}/metrics`)).text()
  t.match(text, /^assent_trouble_total\{what="batch-parked"\} 1$/m)
  t.match(text, /^assent_queue_pending_jobs 1$/m)
  t.match(text, /^assent_queue_dead_jobs 0$/m)
  t.ok(service.logs.some(line => line.includes('batch-parked')))
  await queue.close()
})
