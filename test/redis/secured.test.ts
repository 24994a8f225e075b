import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder, runToEnd, startProcess } from '../start/process.ts'
import { heartbeat, makeEvent, signIn } from '../support/api.ts'
import { certificateOf, eraseFor } from '../support/erasure.ts'
import { startRedisServer, tlsDir } from '../support/redis-servers.ts'
import { eventually } from '../support/service.ts'

const { port, admin } = await startRedisServer(t, [], { tls: true })
const password = 'p@ss:/?#%wörd'
const operations = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'operations.md'), 'utf8')

/** The rule that the operations manual gives, word by word. */
const rule = /^ACL SETUSER assent on >PASSWORD (.+)$/m.exec(operations)?.[1]?.split(' ') ?? []
await admin.call('ACL', 'SETUSER', 'assent', 'on', `>${password}`, ...rule)
await admin.call('ACL', 'SETUSER', 'default', 'off')
const url = (host: string, secret = password): string => `rediss://assent:${encodeURIComponent(secret)}@${host}:${String(port)}`
const ca = { REDIS_CA_FILE: join(tlsDir, 'ca.pem') }

t.test('a service with TLS and no more rights than the manual gives does all that it does', async t => {
  t.ok(rule.includes('-@all'), 'the manual has a rule')
  const folder = await makeFolder(t)
  const service = await startProcess(t, { REDIS_URL: url('localhost'), ...ca, DATA_DIR: folder, RATE_LIMITS: 'off' })
  const ada = await signIn(service, 'ada', 'product_analytics')
  const team = { token: await service.token({ sub: 'team', scope: 'privacy:read privacy:admin' }), headers: { 'purpose-of-use': 'a test' } }
  t.match(await service.post(ada.token, { device_id: ada.deviceId, events: [makeEvent(), makeEvent(heartbeat)] }), { status: 202, body: { accepted: 2 } })
  await eventually('they are stored', async () => (await service.sql('SELECT event_id FROM events_v')).length === 2)
  await eventually('the queue is empty', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0)
  t.equal((await fetch(`${service.url}/metrics`)).status, 200)
  t.match((await service.call('POST', '/v1/privacy/ledger/verify', { ...team, body: {} })).body, { ok: true, checked: 1 })
  t.match(await certificateOf(service, (await eraseFor(service, { account_id: 'ada', reason: 'a letter' })).body['id']), { tables: [{ rows_before: 2, rows_after: 0 }, {}] })
  t.equal((await service.end('SIGTERM')).code, 0)
  const environment = { REDIS_URL: url('127.0.0.1'), ...ca, DATA_DIR: folder }
  t.match(await runToEnd(t, environment, ['rotate-keys']), { code: 0, stdout: /^assent: 1 accounts read/ })
  t.match(await runToEnd(t, environment, ['rebuild-consents']), { code: 0, stdout: /^assent: 1 subjects/ })
  const refused = (await admin.call('ACL', 'LOG') as unknown[][]).map(entry => `${String(entry[3])} ${String(entry[5])} ${String(entry[7])}`)
  t.same(refused, [], 'nothing was refused')
})

t.test('the user of the manual reaches nothing else', async t => {
  for (const command of [['FLUSHALL'], ['KEYS', '*'], ['CONFIG', 'SET', 'appendonly', 'no'], ['GET', 'another'], ['SHUTDOWN'], ['ACL', 'LIST'], ['REPLICAOF', 'NO', 'ONE'], ['DEBUG', 'SLEEP', '0'], ['MODULE', 'LIST']]) {
    t.match(await admin.call('ACL', 'DRYRUN', 'assent', ...command), /no permissions/i, command.join(' '))
  }
})

t.test('a server that cannot prove who it is, or a user that it does not know, stops the start', async t => {
  const DATA_DIR = await makeFolder(t)
  for (const [wrong, says] of [
    [{ REDIS_URL: url('localhost') }, 'REDIS_URL cannot be reached'],
    [{ REDIS_URL: url('localhost', 'wrong-secret'), ...ca }, 'REDIS_URL cannot be reached'],
    [{ REDIS_URL: url('localhost').replace('rediss', 'redis') }, 'REDIS_URL cannot be reached'],
    [{ REDIS_URL: url('localhost'), REDIS_CA_FILE: join(tlsDir, 'none.pem') }, 'REDIS_CA_FILE .*none.pem cannot be read'],
    [{ REDIS_URL: url('localhost'), REDIS_CA_FILE: join(tlsDir, 'README.md') }, 'REDIS_CA_FILE .*README.md holds no certificate in PEM']
  ] as const) {
    const { code, stderr } = await runToEnd(t, { ...wrong, DATA_DIR })
    t.equal(code, 1)
    t.match(stderr, new RegExp(`^assent: cannot start: ${says}$`, 'm'))
    t.notMatch(stderr, /wrong-secret|p@ss|p%40ss/)
  }
})
