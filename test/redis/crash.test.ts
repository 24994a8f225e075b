import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import { fates, makeEvent, signIn, type Api } from '../support/api.ts'
import { eventually } from '../support/service.ts'
import { makeFolder, startProcess } from '../start/process.ts'
import { startLoad, type Load } from './load.ts'

t.setTimeout(300_000)

const allKept = { lost: 0, overcount: 0, forbidden: 0, mutated: 0, unbalanced: false }

/** The process of the Redis that a service keeps in a data directory. */
async function redisPid (dataDir: string): Promise<number> {
  const redis = new Redis({ path: join(dataDir, 'redis', 'redis.sock') })
  redis.on('error', () => {})
  const info = await redis.info('server')
  redis.disconnect()
  return Number(/process_id:(\d+)/.exec(info)?.[1])
}

async function isKept (api: Api, load: Load): Promise<Record<string, number | boolean>> {
  await load.stop()
  await eventually('the queue is empty', async () => (await api.call('GET', '/health/ready')).body['pending'] === 0, 60_000)
  const token = await api.token({ sub: 'team', scope: 'privacy:read' })
  const { body: { books } } = await api.call('GET', '/v1/privacy/stats/decisions', { token, headers: { 'purpose-of-use': 'test' } })
  return {
    ...load.judge(await api.sql<{ event_id: string, properties: string }>('SELECT event_id, properties FROM events_v')),
    unbalanced: !(books.balanced && books.pending === 0 && books.dead === 0 && books.accepted >= load.acknowledged())
  }
}

async function moreIsAcknowledged (load: Load, events: number): Promise<void> {
  const before = load.acknowledged()
  await eventually('the load goes on', async () => load.acknowledged() >= before + events, 30_000)
}

t.test('however often the service is killed under load, what it acknowledged is stored once', async t => {
  const dataDir = await makeFolder(t)
  const environment = { DATA_DIR: dataDir, RATE_LIMITS: 'off' }
  let service = await startProcess(t, environment)
  const { token } = await signIn(service, 'ada', 'product_analytics')
  const load = startLoad(t, () => service, token)
  for (const alsoRedis of [false, true]) {
    await moreIsAcknowledged(load, 500)
    await sleep(Math.random() * 300) // Anywhere in a batch, an insert, an acknowledgement.
    const redis = await redisPid(dataDir)
    const ended = service.end('SIGKILL')
    if (alsoRedis) process.kill(redis, 'SIGKILL')
    t.equal((await ended).signal, 'SIGKILL')
    service = await startProcess(t, environment)
  }
  await moreIsAcknowledged(load, 500)
  t.same(await isKept(service, load), allKept)
  t.same([...load.answers.keys()].filter(answer => ![202, 503, 'none'].includes(answer)), [])
  t.equal((await service.end('SIGTERM')).code, 0)
})

t.test('however often its Redis is killed under load, the service says so, goes on, and loses nothing', async t => {
  const dataDir = await makeFolder(t)
  const service = await startProcess(t, { DATA_DIR: dataDir, RATE_LIMITS: 'off' })
  const { token } = await signIn(service, 'ada', 'product_analytics')
  const load = startLoad(t, () => service, token)
  for (let kill = 1; kill <= 3; kill++) {
    await moreIsAcknowledged(load, 500)
    await sleep(Math.random() * 300)
    const before = load.answers.get(503) ?? 0
    process.kill(await redisPid(dataDir), 'SIGKILL')
    await eventually('clients are told to come back', async () => (load.answers.get(503) ?? 0) > before)
  }
  await moreIsAcknowledged(load, 500)
  t.same(await isKept(service, load), allKept)
  t.same([...load.answers.keys()].sort(), [202, 503])
  t.match(await service.call('GET', '/health/ready'), { status: 200, body: { redis: true } })
  t.equal((await service.end('SIGTERM')).code, 0)
})

t.test('a no that was answered is in force after a kill, and stands in the ledger once', async t => {
  const dataDir = await makeFolder(t)
  const environment = { DATA_DIR: dataDir, RATE_LIMITS: 'off' }
  let service = await startProcess(t, environment)
  const people = await Promise.all(['ada', 'bob', 'eve'].map(async name => await signIn(service, name, 'product_analytics')))
  for (const { token } of people) {
    t.equal((await service.post(token)).status, 202)
    const redis = await redisPid(dataDir)
    t.equal((await service.call('POST', '/v1/me/privacy/stop', { token })).status, 200)
    const ended = service.end('SIGKILL')
    process.kill(redis, 'SIGKILL')
    await ended
    service = await startProcess(t, environment)
    const event = makeEvent()
    t.same(fates(await service.post(token, { events: [event] }), [event]), ['account_denied'])
    t.equal(await service.sql(`SELECT 1 FROM events_v WHERE event_id = '${String(event['id'])}'`).then(rows => rows.length), 0)
    const { entries } = (await service.call('GET', '/v1/me/privacy/history', { token })).body
    t.same(entries.map((entry: { revision: number }) => entry.revision), [5, 4, 3, 2, 1])
  }
})
