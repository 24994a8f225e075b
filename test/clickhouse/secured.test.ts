import { readFile } from 'node:fs/promises'
import { connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { pino } from 'pino'
import t from 'tap'
import { connectRemote } from '../../src/clickhouse/client.ts'
import { startService } from '../../src/composition/service.ts'
import { readConfig } from '../../src/config.ts'
import { heartbeat, makeEvent, signIn } from '../support/api.ts'
import { startBridge } from '../support/clickhouse-bridge.ts'
import { tlsDir } from '../support/redis-servers.ts'
import { eventually, startTestService } from '../support/service.ts'

const bridge = await startBridge(t)
await bridge.set({ user: 'assent_writer', password: 'w-secret', reader: 'assent_reader:r-secret' })

/** TLS in front of the server, as its own would be. */
const front = createServer({ key: await readFile(join(tlsDir, 'server-key.pem')), cert: await readFile(join(tlsDir, 'server.pem')) }, socket => {
  const behind = connect(Number(new URL(bridge.url).port), '127.0.0.1')
  for (const [one, other] of [[socket, behind], [behind, socket]] as const) one.on('error', () => other.destroy()).on('close', () => other.destroy()).pipe(other)
})
front.listen(0, '127.0.0.1')
await once(front, 'listening')
t.teardown(() => { front.close() })

const url = `https://localhost:${String((front.address() as AddressInfo).port)}`
const ca = join(tlsDir, 'ca.pem')
const remote = {
  CLICKHOUSE_URL: url, CLICKHOUSE_CA_FILE: ca, CLICKHOUSE_USER: 'assent_writer', CLICKHOUSE_PASSWORD: 'w-secret', CLICKHOUSE_READER_USER: 'assent_reader', CLICKHOUSE_READER_PASSWORD: 'r-secret'
}

t.test('a service writes as one user and reads for the privacy team as another, over TLS', async t => {
  const service = await startTestService(t, remote)
  const ada = await signIn(service, 'ada', 'product_analytics')
  t.match(await service.post(ada.token, { events: [makeEvent(), makeEvent(heartbeat)] }), { status: 202, body: { accepted: 2 } })
  await eventually('they are stored', async () => await service.count('events_v') === 2)
  const team = { token: await service.token({ sub: 'team', scope: 'privacy:read' }), headers: { 'purpose-of-use': 'a test' } }
  const { readerQueries: before } = await bridge.set({})
  t.match(await service.call('GET', '/v1/privacy/accounts/ada', team), { status: 200, body: { account_id: 'ada' } })
  t.match((await service.call('GET', '/v1/privacy/ledger?account_id=ada', team)).body, { entries: [{ decision: 'granted' }] })
  t.ok((await bridge.set({})).readerQueries > before, 'the reader was asked')
})

t.test('the reader cannot write, and needs no right of the writer', async t => {
  const { reader, close } = connectRemote({
    url, ca: await readFile(ca, 'utf8'), username: 'assent_writer', password: 'w-secret', reader: { username: 'assent_reader', password: 'r-secret' }, database: 'default', compression: true, requestTimeoutMs: 20_000
  })
  t.teardown(close)
  await t.rejects(reader.command({ query: 'DROP TABLE failed_events' }), { message: /readonly|privileges/i })
  await t.rejects(reader.insert({ table: 'failed_events', values: [{ event_id: 'x' }], format: 'JSONEachRow' }), { message: /readonly|privileges/i })
})

t.test('a server that cannot prove who it is, or a user that it does not know, stops the start', async t => {
  const unreachable = 'CLICKHOUSE_URL cannot be reached, or does not accept the user'
  for (const [wrong, message] of [
    [{ CLICKHOUSE_CA_FILE: '' }, unreachable],
    [{ CLICKHOUSE_PASSWORD: 'wrong' }, unreachable],
    [{ CLICKHOUSE_READER_PASSWORD: 'wrong' }, 'CLICKHOUSE_URL does not accept CLICKHOUSE_READER_USER'],
    [{ CLICKHOUSE_CLUSTER: 'nowhere' }, 'CLICKHOUSE_CLUSTER nowhere is not known to the server']
  ] as const) {
    const config = readConfig({ NODE_ENV: 'test', PORT: '0', DATA_DIR: t.testdir({}), ...remote, ...wrong })
    await t.rejects(startService(config, pino({ level: 'silent' })), { message }, JSON.stringify(wrong))
  }
})
