import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { makeFolder, runToEnd, startProcess } from './process.ts'

t.test('a Redis that may lose what it acknowledged stops the start, unless that is allowed', async t => {
  const folder = await makeFolder(t)
  const socket = join(folder, 'redis.sock')
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'], { stdio: 'ignore' })
  t.teardown(() => server.kill('SIGKILL'))
  const redis = new Redis({ path: socket })
  redis.on('error', () => {}) // Until it is up.
  t.teardown(() => { redis.disconnect() })
  const environment = { REDIS_URL: `unix://${socket}` }
  const good = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' }

  for (const [name, value] of [['appendonly', 'no'], ['appendfsync', 'everysec'], ['appendfsync', 'no'], ['maxmemory-policy', 'allkeys-lru'], ['maxmemory-policy', 'volatile-ttl']] as const) {
    await redis.config('SET', name, value)
    const { code, stdout, stderr } = await runToEnd(t, { ...environment, DATA_DIR: await makeFolder(t) })
    t.equal(code, 1, `${name} ${value}`)
    t.equal(stdout, '')
    t.match(stderr.trimEnd().split('\n').filter(line => !line.startsWith('assent: starting')), [new RegExp(`^assent: cannot start: .*${name}.*"${value}"`)])
    t.equal(stderr.split('cannot start').length, 2)
    await redis.config('SET', name, good[name])
  }

  const accepted = await startProcess(t, { ...environment, DATA_DIR: await makeFolder(t) })
  t.equal((await accepted.call('GET', '/health/ready')).status, 200, 'one that keeps everything is taken')
  t.equal((await accepted.end('SIGTERM')).code, 0)
  await redis.config('SET', 'appendonly', 'no')
  const allowed = await startProcess(t, { ...environment, ALLOW_VOLATILE_REDIS: '1', DATA_DIR: await makeFolder(t) })
  t.equal((await allowed.call('GET', '/health/ready')).status, 200)
  t.equal((await allowed.end('SIGTERM')).code, 0)
  t.equal(await redis.ping(), 'PONG', 'a Redis that is not its own is left running')
})

t.test('a Redis that cannot be reached stops the start', async t => {
  const folder = await makeFolder(t)
  for (const url of [`unix://${join(folder, 'none.sock')}`, 'redis://127.0.0.1:1']) {
    const { code, stderr } = await runToEnd(t, { REDIS_URL: url, DATA_DIR: join(folder, 'data') })
    t.equal(code, 1)
    t.match(stderr, /^assent: cannot start: REDIS_URL cannot be reached$/m)
  }
})
