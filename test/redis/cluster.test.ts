import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { accountPartition } from '../../src/redis/keys.ts'
import { makeFolder, runToEnd, startProcess } from '../start/process.ts'
import { fates, heartbeat, makeEvent, signIn, type Answer } from '../support/api.ts'
import { certificateOf, eraseFor } from '../support/erasure.ts'
import { exportLedger } from '../support/exports.ts'
import { startCluster } from '../support/redis-servers.ts'
import { eventually } from '../support/service.ts'
import { codeOf } from '../support/two-step.ts'

t.setTimeout(300_000)

const nodes = await startCluster(t)
const folder = await makeFolder(t)
const regions = join(folder, 'regions.json')
await writeFile(regions, JSON.stringify({ regions: { US: 'granted' } }))
const sealKey = `first:${randomBytes(32).toString('base64')}`
const environment = {
  REDIS_URL: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${String(port)}`).join(',')}`,
  DATA_DIR: join(folder, 'data'), REGION_POLICY_FILE: regions, RATE_LIMITS: 'off', SEAL_KEYS: sealKey
}
const service = await startProcess(t, environment)
const because = { 'purpose-of-use': 'a test' }
const team = { token: await service.token({ sub: 'team', scope: 'privacy:read privacy:admin', expires_in: 31_536_000 }), headers: because }

// Enough for each node to hold some, and for pairs of account and device on different nodes.
const names = Array.from({ length: 24 }, (_, index) => `person-${String(index)}`)
const people = await Promise.all(names.map(async (name, index) => await signIn(service, name, ...index % 2 === 0 ? ['product_analytics'] : [])))
const first = people[0]!

t.test('people on all nodes are decided for, and their events are stored once', async t => {
  t.ok(new Set(names.map(accountPartition)).size > 8, 'they lie in many partitions')
  const batches = people.map(() => [makeEvent(), makeEvent(heartbeat)])
  const answers = await Promise.all(people.map(async ({ token }, index) => await service.post(token, { events: batches[index]! })))
  for (const [index, answer] of answers.entries()) {
    t.equal(answer.status, 202)
    t.same(fates(answer, batches[index]!), [index % 2 === 0 ? 'accepted' : 'not_granted', 'accepted'])
  }
  await eventually('they are stored', async () => (await service.sql('SELECT event_id FROM events_v')).length === 36)
  // A row is there before its job is gone.
  await eventually('the queue is empty', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0)
  t.match(await service.call('GET', '/health/ready'), { status: 200, body: { redis: true, whole: true } })
  t.match((await service.call('GET', '/v1/privacy/stats/decisions', team)).body, { books: { balanced: true, pending: 0, dead: 0 } })
})

t.test('the ledger of all nodes arrives, verifies and is exported', async t => {
  t.match((await service.call('POST', '/v1/privacy/ledger/verify', { ...team, body: {} })).body, { ok: true, checked: 12, ledger_head: { entries: 12 } })
  t.match(await exportLedger(service, team.token, { format: 'ndjson' }), { status: 'ready', manifest: { rows: 12 } })
  const mine = await service.call('POST', '/v1/me/export', { token: first.token, headers: { 'verification-token': await service.verify(first.token, first.email, 'data.export') } })
  t.equal(mine.status, 202)
  const { status, url } = await fetch(service.url + String(mine.body['download']), { headers: { authorization: `Bearer ${first.token}` } })
  t.equal(status, 200, url)
  t.equal((await service.call('PUT', '/v1/privacy/organizations/acme/policy', { ...team, body: { product_analytics: 'off' } })).status, 200)
  const member = makeEvent()
  t.same(fates(await service.post(await service.token({ sub: names[0]!, org_id: 'acme' }), { events: [member] }), [member]), ['org_denied'])
})

t.test('an account is protected, and its secret is sealed anew by one command', async t => {
  const pay = async (): Promise<Record<string, string>> => ({ 'verification-token': await service.verify(first.token, first.email, 'two_step.enroll') })
  const { body: { enrollment_id: id, secret } } = await service.call('POST', '/v1/me/two-step/totp', { token: first.token, headers: await pay() })
  t.equal((await service.call('POST', `/v1/me/two-step/totp/${String(id)}/confirm`, { token: first.token, body: { code: await codeOf(secret) } })).status, 200)
  const rotated = await runToEnd(t, { ...environment, DATA_DIR: join(folder, 'other'), SEAL_KEYS: `second:${randomBytes(32).toString('base64')},${sealKey}` }, ['rotate-keys'])
  t.match(rotated, { code: 0, stdout: /^assent: 12 accounts read, \d+ secrets and addresses sealed anew\n$/ })
})

t.test('an erasure reaches its end', async t => {
  const { body: { id } } = await eraseFor(service, { account_id: names[2], reason: 'a letter' })
  t.match(await certificateOf(service, id), { tables: [{ table: 'events', rows_before: 2, rows_after: 0 }, {}] })
})

t.test('a node that comes back empty makes no yes of a no', async t => {
  // The first has a second step by now.
  const [, ...others] = people
  for (const person of others) await person.choose({ diagnostics: 'denied' })
  const crash = { name: 'crash.reported', properties: { signature: '0'.repeat(64), kind: 'hang' } }
  const ask = async (name: string): Promise<Answer> => await service.post(await service.token({ sub: name, region: 'US' }), { events: [makeEvent(crash)] })
  const stored = async (): Promise<number> => (await service.sql("SELECT event_id FROM events_v WHERE name = 'crash.reported'")).length
  await eventually('the ledger is in ClickHouse', async () => (await service.sql("SELECT entry_id FROM consent_ledger_v WHERE purpose = 'diagnostics'")).length === 23)
  for (const { admin } of nodes) {
    await admin.flushall()
    const answers = (await Promise.all(names.slice(1).map(ask))).map(({ status, body }) => status === 202 ? body['results'][0]?.reason as string : status)
    t.same([...new Set(answers)].filter(answer => answer !== 503 && answer !== 'account_denied'), [])
    await eventually('it is whole again', async () => (await service.call('GET', '/health/ready')).status === 200)
    t.same(new Set((await Promise.all(names.slice(1).map(ask))).map(({ body }) => body['results'][0]?.reason as string)), new Set(['account_denied']))
  }
  t.equal(await stored(), 0)
})

t.test('one node that may lose what it acknowledged stops the start', async t => {
  t.equal((await service.end('SIGTERM')).code, 0)
  await nodes[1]!.admin.config('SET', 'appendfsync', 'everysec')
  t.match(await runToEnd(t, environment), { code: 1, stderr: /Redis would lose acknowledged events: its appendfsync is "everysec"/ })
  await nodes[1]!.admin.config('SET', 'appendfsync', 'always')
  const again = await startProcess(t, environment)
  t.equal((await again.end('SIGTERM')).code, 0)
})
