import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fates, heartbeat, makeApi, makeEvent, signIn, type Person } from '../support/api.ts'
import { startBridge } from '../support/clickhouse-bridge.ts'
import { certificateOf, eraseFor } from '../support/erasure.ts'
import { startRedisServer, type RedisServer } from '../support/redis-servers.ts'
import { eventually } from '../support/service.ts'
import { makeFolder, startProcess } from './process.ts'

t.setTimeout(300_000)

/** As the manual says it: of a running Redis, while nothing rewrites the file. */
async function copyRedis ({ admin, dir }: RedisServer, to: string): Promise<void> {
  await admin.config('SET', 'auto-aof-rewrite-percentage', '0')
  await eventually('no rewrite is under way', async () => (await admin.info('persistence')).includes('aof_rewrite_in_progress:0'))
  await cp(join(dir, 'appendonlydir'), join(to, 'appendonlydir'), { recursive: true })
  await admin.config('SET', 'auto-aof-rewrite-percentage', '100')
}

t.test('two backups of different times, restored, tell and keep what was acknowledged before the first', async t => {
  const [redis, bridge, folder, redisCopy, clickhouseCopy] = await Promise.all([startRedisServer(t), startBridge(t), makeFolder(t), makeFolder(t), makeFolder(t)])
  const keys = { DATA_DIR: folder, RATE_LIMITS: 'off' }
  const environment = { ...keys, REDIS_URL: `redis://127.0.0.1:${String(redis.port)}`, CLICKHOUSE_URL: bridge.url }
  let service = await startProcess(t, environment)
  const api = makeApi(() => service.url)
  const [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map(async name => await signIn(api, name, 'product_analytics'))) as [Person, Person, Person]
  const sent = new Map<Person, string[]>([[ada, []], [bob, []], [eve, []]])
  const post = async (person: Person): Promise<void> => {
    const events = [makeEvent(), makeEvent(), makeEvent(heartbeat)]
    const answer = await service.post(person.token, { device_id: person.deviceId, events })
    t.same(fates(answer, events), ['accepted', 'accepted', 'accepted'])
    sent.get(person)?.push(...events.map(({ id }) => id as string))
  }
  for (const person of sent.keys()) await post(person)
  await eventually('they are stored', async () => (await service.sql('SELECT event_id FROM events_v')).length === 9)

  // Nothing is stored for a while.
  await service.end('SIGKILL')
  service = await startProcess(t, { ...environment, ROLE: 'collector' })
  for (const person of sent.keys()) for (let batches = 0; batches < 5; batches++) await post(person)
  await copyRedis(redis, redisCopy)

  await service.end('SIGKILL')
  service = await startProcess(t, environment)
  await eventually('the backlog is stored', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0)
  await ada.choose({ product_analytics: 'denied' })
  await certificateOf(service, (await eraseFor(service, { account_id: 'eve', reason: 'a letter' })).body['id'])
  await post(bob)
  await eventually('all is in ClickHouse', async () =>
    (await service.sql('SELECT event_id FROM events_v')).length === 39 && (await service.sql('SELECT entry_id FROM consent_ledger_v')).length === 4)
  await eventually('and its counts too, which follow the rows', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0)
  await bridge.kill()
  await cp(bridge.directory, clickhouseCopy, { recursive: true })

  await Promise.all([service.end('SIGKILL'), redis.kill()])
  const [otherRedis, otherBridge] = await Promise.all([startRedisServer(t, ['--dir', redisCopy]), startBridge(t, clickhouseCopy)])
  t.equal(await otherRedis.admin.llen('{assent}:events:wait'), 15, 'the copy holds batches that are stored already')
  const restored = await startProcess(t, { ...keys, REDIS_URL: `redis://127.0.0.1:${String(otherRedis.port)}`, CLICKHOUSE_URL: otherBridge.url })
  await eventually('the backlog was worked off again', async () => {
    const { status, body } = await restored.call('GET', '/health/ready')
    return status === 200 && body['pending'] === 0
  }, 60_000)

  const rows = (await restored.sql<{ event_id: string }>('SELECT event_id FROM events_v')).map(row => row.event_id)
  t.same([...rows].sort(), [...sent.get(ada)!, ...sent.get(bob)!].sort(), 'each once, and of the erased person none')
  const team = { token: await restored.token({ sub: 'team', scope: 'privacy:read privacy:admin' }), headers: { 'purpose-of-use': 'a test' } }
  t.match((await restored.call('POST', '/v1/privacy/ledger/verify', { ...team, body: {} })).body, { ok: true, checked: 4 })
  const { body: { books } } = await restored.call('GET', '/v1/privacy/stats/decisions', team)
  t.match(books, { balanced: true, pending: 0, dead: 0 })
  const [counted] = await restored.sql("SELECT sum(count) AS n FROM consent_decisions_v WHERE stage = 'write' AND outcome = 'stored'")
  t.equal(Number(counted?.['n']), rows.length + 3, 'what had been stored before is counted as stored, though ada has withdrawn since; and so is the batch of eve that was erased as a row')
  const again = [makeEvent()]
  t.same(fates(await restored.post(await restored.token({ sub: 'ada', device_id: ada.deviceId }), { events: again }), again), ['account_denied'], 'a no that only the second backup knew')
  t.equal((await restored.end('SIGTERM')).code, 0)
})
