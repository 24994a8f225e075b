import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import { connectForRequests } from '../../src/redis/client.ts'
import { makeFolder, runToEnd, startProcess, type ServiceProcess } from '../start/process.ts'
import { signIn } from '../support/api.ts'
import { startRedisServer, startSentinel, type RedisServer } from '../support/redis-servers.ts'
import { eventually } from '../support/service.ts'
import { startLoad } from './load.ts'

t.setTimeout(300_000)

interface Group { servers: RedisServer[], primary: () => RedisServer, replica: () => RedisServer, service: ServiceProcess, failOver: () => Promise<unknown> }

/** A primary with a replica, three sentinels, and a service that waits for the replica before it acknowledges. */
async function startGroup (t: Parameters<typeof startRedisServer>[0]): Promise<Group> {
  const first = await startRedisServer(t, ['--repl-diskless-sync-delay', '0'])
  const second = await startRedisServer(t, ['--repl-diskless-sync-delay', '0', '--replicaof', '127.0.0.1', String(first.port)])
  await eventually('the replica is connected', async () => (await first.admin.info('replication')).includes('state=online'))
  const sentinels = await Promise.all([1, 2, 3].map(async () => await startSentinel(t, first.port, 2)))
  await eventually('the sentinels know each other and the replica', async () => {
    const told = await Promise.all(sentinels.map(async ({ admin }) => await admin.info('sentinel')))
    return told.every(text => text.includes('slaves=1,sentinels=3'))
  })
  const named = async (): Promise<number> => Number((await sentinels[0]!.admin.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster') as string[])[1])
  const service = await startProcess(t, {
    REDIS_URL: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${String(port)}`).join(',')}/mymaster`, REDIS_REPLICAS_MIN: '1', DATA_DIR: await makeFolder(t), RATE_LIMITS: 'off'
  })
  const failOver = async (): Promise<unknown> => await sentinels[0]!.admin.call('SENTINEL', 'FAILOVER', 'mymaster')
  let primary = first
  const group = { servers: [first, second], primary: () => primary, replica: () => primary === first ? second : first, service, failOver }
  const watching = setInterval(() => { void named().then(port => { primary = port === first.port ? first : second }, () => {}) }, 100)
  t.teardown(() => { clearInterval(watching) })
  return group
}

async function isKept (t: Parameters<typeof startRedisServer>[0], service: ServiceProcess, load: ReturnType<typeof startLoad>): Promise<void> {
  await load.stop()
  await eventually('the queue is empty', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0, 60_000)
  t.same(load.judge(await service.sql('SELECT event_id, properties FROM events_v')), { lost: 0, overcount: 0, forbidden: 0, mutated: 0 })
  t.same([...load.answers.keys()].filter(answer => ![202, 503, 'none'].includes(answer)), [], '503 at worst')
}

t.test('a primary that dies under load takes nothing with it that was acknowledged', async t => {
  const { primary, servers, service } = await startGroup(t)
  const [first, second] = servers
  const { token } = await signIn(service, 'ada', 'product_analytics')
  const load = startLoad(t, () => service, token)
  await eventually('the load runs', async () => load.acknowledged() > 500)
  // What the primary takes while its replica is cut off is lost with it, so none of it may be acknowledged.
  second!.process.kill('SIGSTOP')
  await first!.admin.call('CLIENT', 'KILL', 'TYPE', 'replica')
  await sleep(500)
  await first!.kill()
  second!.process.kill('SIGCONT')
  const before = load.acknowledged()
  await eventually('the replica is the primary', async () => primary() === second, 60_000)
  // Alone it acknowledges nothing: it waits for a replica of its own.
  const replacement = await startRedisServer(t, ['--replicaof', '127.0.0.1', String(second!.port)])
  await eventually('the load goes on', async () => load.acknowledged() > before + 500, 60_000)
  t.match(await replacement.admin.info('replication'), /role:slave/)
  t.match((await service.call('GET', '/v1/me/privacy', { token })).body['account'], { product_analytics: { state: 'granted' } })
  await isKept(t, service, load)
})

t.test('a primary that hands over is left for the new one, under load', async t => {
  const { primary, replica, service, failOver } = await startGroup(t)
  const { token } = await signIn(service, 'ada', 'product_analytics')
  const load = startLoad(t, () => service, token)
  await eventually('the load runs', async () => load.acknowledged() > 500)
  const next = replica()
  await failOver()
  await eventually('the replica is the primary, with the other as its replica', async () =>
    primary() === next && (await next.admin.info('replication')).includes('state=online'), 60_000)
  const before = load.acknowledged()
  await eventually('the load goes on', async () => load.acknowledged() > before + 500, 60_000)
  await isKept(t, service, load)
})

t.test('a server that has become a replica is left at the first write that it refuses', async t => {
  const { port, admin } = await startRedisServer(t)
  const redis = connectForRequests({ form: 'single', nodes: [{ host: '127.0.0.1', port }] })
  t.teardown(() => { redis.disconnect() })
  await redis.connect()
  const before = await redis.client('ID')
  await admin.replicaof('127.0.0.1', 1)
  await t.rejects(redis.set('key', 'value'), { message: /^READONLY/ })
  await eventually('the connection is another', async () => await redis.client('ID').catch(() => before) !== before)
})

t.test('a write that a lost connection left open is sent again, and fails its caller alone when no replica has it', async t => {
  const { port, process: server, admin } = await startRedisServer(t)
  const redis = connectForRequests({ form: 'single', nodes: [{ host: '127.0.0.1', port }], replicas: 1 })
  t.teardown(() => { redis.disconnect() })
  await redis.connect()
  server.kill('SIGSTOP')
  const written = redis.raiseCount('count', 7)
  await sleep(100)
  if (redis instanceof Redis) redis.stream.destroy()
  await sleep(200)
  server.kill('SIGCONT')
  await t.rejects(written)
  await eventually('it was carried out', async () => await admin.get('count') === '7')
  await sleep(1500) // An error that nobody hears would end a service here, and fails this test.
})

t.test('sentinels that cannot be reached stop the start', async t => {
  const ended = await runToEnd(t, { REDIS_URL: 'redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster', DATA_DIR: await makeFolder(t) })
  t.match(ended, { code: 1, stderr: /cannot start: REDIS_URL cannot be reached/ })
})
