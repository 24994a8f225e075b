import { randomUUID } from 'node:crypto'
import t from 'tap'
import { makeErasureTable } from '../../src/clickhouse/erasure-table.ts'
import { makeEventTable } from '../../src/clickhouse/event-table.ts'
import { makeEraseSubjects } from '../../src/flows/erase-subject.ts'
import { makeDeviceRegister } from '../../src/redis/device-register.ts'
import { makeErasureQueue } from '../../src/redis/erasure-queue.ts'
import { erasureIdFor, makeErasureStore } from '../../src/redis/erasure-store.ts'
import { toJobData } from '../../src/redis/job-data.ts'
import { batchKey } from '../../src/redis/queued-batches.ts'
import { startClickHouse } from '../support/clickhouse.ts'
import { makeQueuedBatch } from '../support/queued.ts'
import { startRedis } from '../support/redis.ts'

t.test('batches that move to jobs of their own while they are erased are waited for there, and counted once', async t => {
  const { redis } = await startRedis(t)
  const { client } = await startClickHouse(t)
  const erasures = makeErasureStore(redis)
  const eraseSubjects = makeEraseSubjects({
    erasures, queue: makeErasureQueue(redis), now: Date.now, devices: makeDeviceRegister(redis),
    table: makeErasureTable(client, { pseudonym: (_kind, id) => id ?? '', idOf: ({ accountId }, uuid) => erasureIdFor({ kind: 'account', id: accountId ?? '' }, uuid), now: Date.now }),
    settleDead: async () => await Promise.reject(new Error('nothing was given up')),
    sign: async () => await Promise.resolve('signed'), onLateRows: () => {}, onFailed: error => { throw error }
  })
  const accountId = randomUUID()
  const owner = { accountId, deviceId: undefined, orgId: undefined, region: undefined }
  const [one, two, other] = [makeQueuedBatch({ owner }), makeQueuedBatch({ owner }), makeQueuedBatch()]
  const put = async (jobId: string, ...batches: Array<typeof one>): Promise<void> => {
    await redis.multi().hset(batchKey(jobId), 'data', JSON.stringify(await toJobData(batches))).lpush(batchKey('wait'), jobId).exec()
  }
  const take = async (jobId: string): Promise<void> => {
    await redis.multi().lrem(batchKey('wait'), 0, jobId).del(batchKey(jobId)).exec()
  }
  await put('7', one, two, other)
  const id = erasureIdFor({ kind: 'account', id: accountId }, randomUUID())
  await erasures.open({ id, accountId, deviceId: null, purpose: null, reason: 'a test', requestedBy: 'person', until: Date.now() + 1000 })
  const turnsTo = async (batches: { found: number, remaining: number }): Promise<void> => {
    for (let turn = 0; turn < 3; turn++) await eraseSubjects.finish()
    t.match(await erasures.find(id), { batches, certificate: undefined })
  }
  await eraseSubjects.hide()
  await turnsTo({ found: 2, remaining: 2 })

  await put('one', one)
  await put('two', two)
  await turnsTo({ found: 2, remaining: 2 })
  await take('7')
  await turnsTo({ found: 2, remaining: 2 })
  // Stored by now, as the writer counts what it drops for the tombstone.
  await makeEventTable(client, Date.now).insertCounts([one, two].map(({ requestId }) => ({
    requestId, receivedAt: Date.now(), product: 'cad', release: 2026, stage: 'write' as const, counts: [{ event: 'e', version: 1, purpose: 'p', outcome: 'dropped', reason: 'erased', count: 3 }]
  })))
  await take('one')
  await turnsTo({ found: 2, remaining: 1 })
  await take('two')
  for (let turn = 0; turn < 5 && (await erasures.find(id))?.certificate === undefined; turn++) await eraseSubjects.finish()
  t.match((await erasures.find(id))?.certificate, { queue: { batches: 2, events_removed: 6 }, dead_letters: { batches: 0 } })
})
