import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import t from 'tap'
import { connectRemote } from '../../src/clickhouse/client.ts'
import { makeEventTable } from '../../src/clickhouse/event-table.ts'
import { startService } from '../../src/composition/service.ts'
import { readConfig } from '../../src/config.ts'
import { heartbeat, makeEvent, signIn } from '../support/api.ts'
import { startBridge } from '../support/clickhouse-bridge.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, startTestService } from '../support/service.ts'

const user = 'assent'
const password = 'p&ss: wörd'
const bridge = await startBridge(t)
await bridge.set({ user, password })
// The services of this file share one ledger.
const remote = { LEDGER_KEY: randomBytes(32).toString('base64'), CLICKHOUSE_URL: bridge.url, CLICKHOUSE_USER: user, CLICKHOUSE_PASSWORD: password, CLICKHOUSE_TIMEOUT: '1s' }
const isNamed = (...events: Array<Record<string, unknown>>): string => `event_id IN (${events.map(({ id }) => `'${String(id)}'`).join()})`

for (const compression of ['1', '0']) {
  t.test(`a remote server holds events, counts and ledger, with compression ${compression}`, async t => {
    const before = await bridge.set({})
    const service = await startTestService(t, { ...remote, CLICKHOUSE_COMPRESSION: compression })
    const name = `ada'\\${compression}`
    const token = await service.token({ sub: name, email: 'ada@example.com', device_id: 'pc-1' })
    await service.change(token, 'ada@example.com', { account: { product_analytics: 'granted' } })
    const [optional, required] = [makeEvent(), makeEvent(heartbeat)]
    t.match(await service.post(token, { events: [optional, required] }), { status: 202, body: { accepted: 2 } })
    await eventually('both are visible', async () => await service.count(`events_v WHERE ${isNamed(optional, required)}`) === 2)
    const { body } = await service.call('GET', '/v1/me/privacy/history', { token: token })
    t.match(body['entries'], [{ account_id: name, purpose: 'product_analytics', decision: 'granted' }], 'the ledger was drained and can be asked')
    t.match(await service.sql(`SELECT account_id FROM consent_ledger_v WHERE entry_id = '${body['entries'][0].entry_id as string}'`), [{ account_id: name }])
    t.match(await service.call('GET', '/health/ready'), { status: 200, body: { clickhouse: true } })
    const after = await bridge.set({})
    t.equal(after.compressedRequests > before.compressedRequests, compression === '1', 'requests')
    t.equal(after.compressedAnswers > before.compressedAnswers, compression === '1', 'answers')
  })
}

t.test('what the server answers too late, or never, is tried again and counted once', async t => {
  const service = await startTestService(t, remote)
  const ada = await signIn(service, 'late', 'product_analytics')
  const counted = async (): Promise<number> => Number((await service.sql("SELECT sum(count) AS n FROM consent_decisions_v WHERE outcome = 'accepted'"))[0]?.['n'])
  const countedBefore = await counted()

  await bridge.set({ droppedAnswers: 2 })
  await ada.choose({ diagnostics: 'granted' })
  const { body } = await service.call('GET', '/v1/me/privacy/history', { token: ada.token })
  t.match(body['entries'].map((entry: { revision: number }) => entry.revision), [2, 1], 'the ledger holds each revision once')

  // Slow ones last: they are carried out long after the service has given them up.
  for (const trouble of [{ droppedAnswers: 3 }, { slowInserts: 3, slowMs: 1300 }]) {
    const event = makeEvent()
    const { inserts } = await bridge.set(trouble)
    t.equal((await service.post(ada.token, { events: [event] })).status, 202)
    await eventually('it is visible', async () => await service.count(`events_v WHERE ${isNamed(event)}`) > 0)
    await eventually('nothing waits', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0)
    t.equal(await service.count(`events_v WHERE ${isNamed(event)}`), 1)
    t.ok((await bridge.set({})).inserts - inserts > 2, 'it was inserted again')
  }
  t.equal(await counted() - countedBefore, 2)
  t.ok(service.logs.some(line => line.includes('store-unavailable')), 'and it was noticed')
})

t.test('while the server is away batches are taken all the same, and arrive when it is back', async t => {
  const service = await startTestService(t, remote)
  const ada = await signIn(service, 'away')
  const events = Array.from({ length: 5 }, () => makeEvent(heartbeat))
  await bridge.kill()
  for (const event of events) t.equal((await service.post(ada.token, { events: [event] })).status, 202)
  t.match(await service.call('GET', '/health/ready'), { status: 503, body: { redis: true, clickhouse: false, pending: 5 } })
  isProblem(t, await service.call('GET', '/v1/me/privacy/history', { token: ada.token }), 503, 'unavailable', '/v1/me/privacy/history')
  await bridge.start()
  await eventually('all are visible', async () => await service.count(`events_v WHERE ${isNamed(...events)}`) === 5)
  await eventually('it is ready', async () => (await service.call('GET', '/health/ready')).status === 200)
})

t.test('a server that refuses the user, or is not there, stops the start with one line that holds no secret', async t => {
  const wrong = [{ CLICKHOUSE_PASSWORD: 'wrong-secret' }, { CLICKHOUSE_USER: 'somebody' }, { CLICKHOUSE_DATABASE: 'elsewhere' }, { CLICKHOUSE_URL: 'http://127.0.0.1:1' }]
  for (const environment of wrong) {
    const config = readConfig({ NODE_ENV: 'test', PORT: '0', DATA_DIR: t.testdir({}), ...remote, ...environment })
    await t.rejects(startService(config, pino({ level: 'silent' })), { message: 'CLICKHOUSE_URL cannot be reached, or does not accept the user' }, JSON.stringify(environment))
  }
})

t.test('a fault of the data is told from trouble on the way', async t => {
  const options = { url: bridge.url, username: user, password, database: 'default', compression: true, requestTimeoutMs: 20_000 }
  const { client, reader, close } = connectRemote(options)
  t.teardown(close)
  const table = makeEventTable(client, Date.now)
  const fault = await table.insertRows('["no uuid","command.run",1]').catch((error: unknown) => error)
  t.match(table.dataFaultOf(fault), /^clickhouse_[0-9]+$/, 'a row that cannot be read')
  await t.rejects(reader.insert({ table: 'failed_events', values: [{ event_id: 'x' }], format: 'JSONEachRow' }), { message: /readonly/ }, 'the reader cannot write')
  await bridge.set({ password: 'changed' })
  const trouble = await table.insertRows('[]').catch((error: unknown) => error)
  t.match(trouble, { name: 'Unavailable' })
  t.equal(table.dataFaultOf(trouble), undefined, 'a password that was changed')
})
