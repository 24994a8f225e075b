import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import { erasureIdFor } from '../../src/redis/erasure-store.ts'
import { accountRef, certificateOf, eraseFor, findErasure, knownKey } from '../support/erasure.ts'
import { fates, heartbeat, makeEvent } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'

const pass = passTime(t)
const service = await startTestService(t, knownKey)

/** The tables, as a writer reaches them. */
async function withTables<Answer> (use: (client: Awaited<ReturnType<typeof openEmbedded>>['client']) => Promise<Answer>): Promise<Answer> {
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  try {
    return await use(client)
  } finally {
    await close()
  }
}
const inFiles = async (account: string): Promise<number> => await withTables(async client =>
  (await (await client.query({ query: `SELECT event_id FROM events WHERE account_ref = '${accountRef(account)}' SETTINGS apply_deleted_mask = 0`, format: 'JSONEachRow' })).json()).length)

t.test('a row that a writer stores very late is found by the second look, and told', async t => {
  const { body: { id } } = await eraseFor(service, { account_id: 'ada', reason: 'a letter' })
  const { erased_until: until } = await certificateOf(service, id)
  await withTables(async client => await client.insert({
    table: 'events',
    format: 'JSONEachRow',
    values: [-1, 1].map(ms => ({
      event_id: randomUUID(), name: 'command.run', version: 1, product: 'cad', release: 2026, product_version: '', account_ref: accountRef('ada'), device_ref: '',
      occurred_at: Date.parse(until) + ms, captured_at: Date.parse(until) + ms, received_at: Date.parse(until), purpose: 'p', reason: 'r', consent_entry: null, properties: '{}', batch_id: randomUUID()
    }))
  }))
  t.match((await findErasure(service, id)).body['progress'], { checked_again: undefined })
  t.equal(await inFiles('ada'), 2)
  pass(15 * 60_000)
  await eventually('it is found', async () => (await findErasure(service, id)).body['progress'].checked_again !== undefined)
  await eventually('it is gone', async () => await inFiles('ada') === 1)
  t.match((await findErasure(service, id)).body['progress'].checked_again, { at: /Z$/, rows_found: { events: 1, failed_events: 0 } })
  t.ok(service.logs.some(line => line.includes('erasure-found-late-rows')))
  await eventually('it is left alone then', async () => (await Promise.all((await service.redis.keys('assent:*:erasures*')).map(async key => await service.redis.xlen(key)))).every(length => length === 0))
})

t.test('a restart does not end it, and neither does a Redis that is lost', async t => {
  const token = await service.token({ sub: 'bob', expires_in: 31_536_000 })
  await service.post(token, { events: [makeEvent(heartbeat)] })
  await eventually('it is stored', async () => await inFiles('bob') === 1)
  service.service.writer?.pause()
  await service.post(token, { events: [makeEvent(heartbeat)] })
  const { body: { id } } = await eraseFor(service, { account_id: 'bob', reason: 'a letter' })
  await eventually('it waits', async () => (await findErasure(service, id)).body['progress'].queue.remaining === 1)

  // As ClickHouse knows of one when its Redis was lost.
  const uuid = randomUUID()
  const lost = erasureIdFor({ kind: 'account', id: 'cy' }, uuid)
  await withTables(async client => await client.insert({
    table: 'erasures', format: 'JSONEachRow', values: [{ erasure_id: uuid, account_id: 'cy', requested_at: Date.now(), requested_by: 'team', reason: 'a letter', said_at: 0 }]
  }))
  t.match(await findErasure(service, lost), { status: 200, body: { status: 'waiting', certificate: undefined } })

  await service.restart()
  t.match(await certificateOf(service, id), { tables: [{ rows_before: 1, rows_after: 0 }, {}], queue: { batches: 1, events_removed: 1 } })
  t.equal(await inFiles('bob'), 0)
  t.match(await certificateOf(service, lost), { subject: { account_id: 'cy' } }, 'opened again from the record')
  const event = makeEvent({ ...heartbeat, occurred_at: new Date(Date.now() - 3_600_000).toISOString() })
  t.same(fates(await service.post(token, { events: [event] }), [event]), ['erased'])
})
