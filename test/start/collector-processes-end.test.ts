import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { heartbeat, makeBatch, makeEvent } from '../support/api.ts'
import { eventually, startTestService, type TestService } from '../support/service.ts'
import { childrenOf, isRunning, startProcess, type ServiceProcess } from './process.ts'

t.setTimeout(300_000)

/** Two collectors on one port, beside a whole service that stores what they take. */
async function startBeside (t: Test, environment: Record<string, string> = {}): Promise<{ whole: TestService, service: ServiceProcess }> {
  const whole = await startTestService(t)
  const service = await startProcess(t, {
    ROLE: 'collector', COLLECTOR_PROCESSES: '2', DATA_DIR: whole.dataDir, REDIS_URL: `unix://${join(whole.dataDir, 'redis', 'redis.sock')}`, ...environment
  })
  return { whole, service }
}

interface Client {
  socket: Socket
  closed: boolean
  /** The status of the answer to one request on this connection. */
  ask: () => Promise<string | undefined>
}

async function openClient (url: string): Promise<Client> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  const client: Client = {
    socket,
    closed: false,
    ask: async () => await new Promise(resolve => {
      socket.once('data', (text: string) => { resolve(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]) })
      socket.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n')
    })
  }
  socket.on('error', () => {}) // The process was killed.
  socket.once('close', () => { client.closed = true })
  await new Promise(resolve => socket.once('connect', resolve))
  return client
}

t.test('both serve, and of one that is killed under load clients that try again lose nothing', async t => {
  const { whole, service } = await startBeside(t)
  const clients = await Promise.all([1, 2].map(async () => await openClient(service.url)))
  t.teardown(() => { for (const { socket } of clients) socket.destroy() })
  for (const client of clients) t.equal(await client.ask(), '200')

  const token = await service.token({ sub: 'ada', expires_in: 86_400 })
  const acknowledged: string[] = []
  let again = 0
  let stopping = false
  /** As a product does: the same batch until it is taken. */
  const deliver = async (body: Record<string, unknown>): Promise<void> => {
    for (;;) {
      const answer = await fetch(`${service.url}/v1/events`, {
        method: 'POST', body: JSON.stringify(body), headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, signal: AbortSignal.timeout(5000)
      }).then(async response => { await response.text(); return response.status }, () => 0)
      if (answer === 202) return
      again++
      await sleep(20)
    }
  }
  const load = Array.from({ length: 8 }, async () => {
    while (!stopping) {
      const events = Array.from({ length: 20 }, () => makeEvent(heartbeat))
      await deliver(makeBatch({ events }))
      acknowledged.push(...events.map(event => event['id'] as string))
    }
  })
  const some = async (more: number): Promise<void> => {
    const from = acknowledged.length
    await eventually('batches are taken', async () => acknowledged.length > from + more, 60_000)
  }
  await some(1000)
  process.kill(childrenOf(service.pid)[0]!, 'SIGKILL')
  await some(1000)
  t.same(clients.map(({ closed }) => closed).sort(), [false, true], 'each had one of two connections')
  t.equal(await clients.find(({ closed }) => !closed)?.ask(), '200', 'the other process goes on')
  await eventually('there are two again', async () => childrenOf(service.pid).length === 2, 60_000)
  for (const child of childrenOf(service.pid)) process.kill(child, 'SIGKILL') // Nobody listens for a while.
  await some(1000)
  stopping = true
  await Promise.all(load)
  t.ok(again > 0, 'some had to try again')

  t.equal((await service.end('SIGTERM')).code, 0)
  await eventually('everything is stored', async () => (await whole.count('events_v')) >= acknowledged.length, 60_000)
  const stored = await whole.sql<{ event_id: string }>('SELECT event_id FROM events_v')
  t.same(new Set(stored.map(row => row.event_id)), new Set(acknowledged))
  t.equal(stored.length, acknowledged.length)
})

t.test('told to end, all say so first and serve on, and what only the processes are told ends none', async t => {
  const { service } = await startBeside(t, { SHUTDOWN_DELAY: '3s' })
  const alone = { headers: { connection: 'close' } }
  const token = await service.token({ sub: 'ada' })
  const children = childrenOf(service.pid)
  for (const child of children) process.kill(child, 'SIGTERM') // As a group is told by a terminal, or by systemd.
  for (let asked = 0; asked < 4; asked++) t.equal((await service.call('GET', '/health/ready', alone)).status, 200)
  t.same(childrenOf(service.pid), children)

  const ending = service.end('SIGTERM')
  await eventually('it is not ready', async () => (await service.call('GET', '/health/ready', alone)).status === 503)
  for (let asked = 0; asked < 4; asked++) {
    t.match(await service.call('GET', '/health/ready', alone), { status: 503, body: { ready: false, stopping: true, redis: true } })
    const answer = await service.post(token, { events: [makeEvent(heartbeat)] })
    t.equal(answer.status, 202)
    t.equal(answer.headers.get('connection'), 'close')
  }
  const { code, stderr } = await ending
  t.equal(code, 0)
  t.equal(stderr.split('finishing what is in hand').length, 2)
  t.same(children.filter(isRunning), [])
})

t.test('told a second time, all end at once; and none outlives the first process', async t => {
  const { service, whole } = await startBeside(t, { SHUTDOWN_DELAY: '15s' })
  const children = childrenOf(service.pid)
  process.kill(children[0]!, 'SIGSTOP') // Not even one that hangs stays behind.
  const ending = service.end('SIGTERM')
  await sleep(1200) // Sooner, it would be taken for the same signal again.
  process.kill(service.pid, 'SIGTERM')
  t.equal((await ending).code, 1)
  await eventually('they have ended', async () => !children.some(isRunning))

  const second = await startProcess(t, {
    ROLE: 'collector', COLLECTOR_PROCESSES: '2', DATA_DIR: whole.dataDir, REDIS_URL: `unix://${join(whole.dataDir, 'redis', 'redis.sock')}`
  })
  const orphans = childrenOf(second.pid)
  t.equal(orphans.length, 2)
  await second.end('SIGKILL')
  await eventually('they have ended too', async () => !orphans.some(isRunning))
})
