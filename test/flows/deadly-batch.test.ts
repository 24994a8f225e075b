import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeErasureTable } from '../../src/clickhouse/erasure-table.ts'
import { makeEventTable } from '../../src/clickhouse/event-table.ts'
import { makeEraseSubjects, type EraseSubjects } from '../../src/flows/erase-subject.ts'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { makeSettleDead } from '../../src/flows/settle-dead.ts'
import { connectForRequests } from '../../src/redis/client.ts'
import { makeDeviceRegister } from '../../src/redis/device-register.ts'
import { startEmbeddedRedis } from '../../src/redis/embedded.ts'
import { makeErasureQueue } from '../../src/redis/erasure-queue.ts'
import { erasureIdFor, makeErasureStore } from '../../src/redis/erasure-store.ts'
import { makeFrameCodec } from '../../src/redis/frame-codec.ts'
import { toJobData } from '../../src/redis/job-data.ts'
import { batchKey } from '../../src/redis/queued-batches.ts'
import { makeFolder } from '../start/process.ts'
import { startClickHouse } from '../support/clickhouse.ts'

const folder = await makeFolder(t)
await mkdir(join(folder, 'redis'))
const embedded = await startEmbeddedRedis({ dir: join(folder, 'redis'), socketPath: join(folder, 'redis.sock'), readyWithinMs: 20_000, onRestart: () => {} })
const redis = connectForRequests({ socketPath: embedded.socketPath })
await redis.connect()
const { client, rows } = await startClickHouse(t)
const queue = makeErasureQueue(redis)
t.teardown(async () => { redis.disconnect(); await embedded.close() })
const erasures = makeErasureStore(redis)
const start = Date.now()

/** `read`: what becomes of a process that reads a batch. */
function makeProcess (now: () => number, read: () => Promise<never>): EraseSubjects {
  const catalog = { products: new Map() }
  return makeEraseSubjects({
    erasures, queue, now,
    table: makeErasureTable(client, { pseudonym: (_kind, id) => id ?? '', idOf: ({ accountId }, uuid) => erasureIdFor({ kind: 'account', id: accountId ?? '' }, uuid), now }),
    devices: makeDeviceRegister(redis),
    settleDead: makeSettleDead({ catalog, storeEvents: read, table: makeEventTable(client, now), queue, frameCodec: makeFrameCodec(), partIdOf: () => randomUUID(), onLeft: () => {} }),
    sign: async () => await Promise.resolve('signed'), onLateRows: () => {}, onFailed: () => {}
  })
}

t.test('a batch given up that ends whoever reads it is read once for an erasure, and then erased unread', async t => {
  const accountId = randomUUID()
  const batch: QueuedBatch = {
    schema: 5, requestId: randomUUID(), owner: { accountId, deviceId: undefined, orgId: undefined, region: undefined }, product: 'cad', release: 2026, receivedAt: start - 1,
    body: 'nobody reads this',
    counts: [{ event: 'e', version: 1, purpose: 'p', outcome: 'accepted', reason: 'r', count: 3 }]
  }
  await redis.multi().hset(batchKey('1'), 'data', JSON.stringify(await toJobData([batch])), 'name', 'batch').zadd(batchKey('failed'), start, '1').exec()
  const id = erasureIdFor({ kind: 'account', id: accountId }, randomUUID())
  await erasures.open({ id, accountId, deviceId: null, purpose: null, reason: 'a test', requestedBy: 'person', until: start })

  let reads = 0
  const dies = makeProcess(() => start, async () => { reads++; return await new Promise(() => {}) })
  await dies.hide()
  await dies.finish() // Finds the batch.
  void dies.finish()
  while (reads === 0) await new Promise(resolve => setTimeout(resolve, 10))

  const another = makeProcess(() => start + 59_000, async () => await Promise.reject(new Error('read again')))
  await another.finish()
  t.equal(await redis.exists(batchKey('1')), 1, 'it may be at it yet')

  const next = makeProcess(() => start + 61_000, async () => { reads++; return await new Promise(() => {}) })
  for (let turn = 0; turn < 5 && (await erasures.find(id))?.certificate === undefined; turn++) await next.finish()
  t.match((await erasures.find(id))?.certificate, { dead_letters: { batches: 1, events_removed: 3 } })
  t.equal(await redis.exists(batchKey('1')), 0)
  t.equal(reads, 1)
  t.match(await rows('SELECT toInt32(sum(count)) AS n FROM consent_decisions_v WHERE stage = \'write\' AND reason = \'erased\''), [{ n: 3 }])
})
