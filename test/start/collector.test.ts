import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { heartbeat, makeEvent } from '../support/api.ts'
import { eventually } from '../support/service.ts'
import { makeFolder, startProcess } from './process.ts'

/** A Redis of the test's own, as one that serves several processes. */
async function startRedis (folder: string): Promise<Redis> {
  const socket = join(folder, 'redis.sock')
  const child = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'], { stdio: 'ignore' })
  const redis = new Redis({ path: socket, retryStrategy: () => 50 })
  redis.on('error', () => {}) // It is not up yet.
  await redis.ping()
  t.teardown(async () => {
    redis.disconnect()
    await new Promise(resolve => { child.once('exit', resolve).kill('SIGKILL') })
  })
  return redis
}

t.test('a collector takes batches on a new Redis, and none on one whose choices may be lost', async t => {
  const folder = await makeFolder(t)
  const redis = await startRedis(folder)
  const environment = { ROLE: 'collector', DATA_DIR: folder, REDIS_URL: `unix://${join(folder, 'redis.sock')}` }
  const collector = await startProcess(t, environment)
  const token = await collector.token({ sub: 'ada' })
  const post = async (): Promise<number> => (await collector.post(token, { events: [makeEvent(heartbeat)] })).status
  t.equal(await post(), 202)

  await redis.flushall()
  t.equal(await post(), 503, 'nobody without ClickHouse can tell what was lost')
  t.equal((await collector.call('GET', '/health/ready')).status, 503)

  const whole = await startProcess(t, { ...environment, ROLE: 'all' })
  await eventually('it is made whole', async () => await post() === 202)
  t.equal((await whole.end('SIGTERM')).code, 0)
  const ended = await collector.end('SIGTERM')
  t.notMatch(ended.stderr, /made whole/)
  await redis.del('assent:{0}:whole')
  const later = await startProcess(t, environment)
  t.match((await later.end('SIGTERM')).stderr, /have not been made whole yet/)
})
