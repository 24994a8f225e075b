import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { heartbeat, makeBatch, makeEvent, type Answer, type Api } from '../support/api.ts'
import { startRedisServer } from '../support/redis-servers.ts'
import { eventually } from '../support/service.ts'
import { childrenOf, makeFolder, runToEnd, startProcess } from './process.ts'

t.setTimeout(300_000)

/** Two collectors on one port, for a Redis of the test's own. */
async function settingsOf (t: Test): Promise<Record<string, string>> {
  const [{ port }, DATA_DIR] = await Promise.all([startRedisServer(t), makeFolder(t)])
  return { ROLE: 'collector', COLLECTOR_PROCESSES: '2', REDIS_URL: `redis://127.0.0.1:${String(port)}`, DATA_DIR }
}

/** On a connection of its own, which the next process in turn gets. */
async function postAlone (api: Api, token: string): Promise<Answer> {
  return await api.call('POST', '/v1/events', { token, body: makeBatch({ events: [makeEvent(heartbeat)] }), headers: { connection: 'close' } })
}

async function metricsAt (url: string): Promise<(name: string) => number> {
  // A connection that was being handed to a process when that was killed is answered by nobody.
  const text = await fetch(url, { headers: { connection: 'close' }, signal: AbortSignal.timeout(10_000) }).then(async answer => await answer.text(), () => '')
  return name => Number(text.split('\n').find(line => line.startsWith(`${name} `))?.split(' ').at(-1))
}

const received = 'assent_events_received_total'
const restarted = 'assent_trouble_total{what="collector-restarted"}'
const answered = 'assent_request_seconds_count{method="POST",route="/v1/events",status="202"}'

t.test('whichever process is asked, its metrics are those of all, and no count falls when one dies', async t => {
  const service = await startProcess(t, await settingsOf(t))
  t.equal(childrenOf(service.pid).length, 2)
  const token = await service.token({ sub: 'ada' })
  for (let batches = 0; batches < 10; batches++) t.equal((await postAlone(service, token)).status, 202)
  for (let asked = 0; asked < 4; asked++) {
    const metric = await metricsAt(`${service.url}/metrics`)
    t.same([received, answered, restarted, 'assent_ready'].map(metric), [10, 10, 0, 1])
    t.equal(metric('assent_queue_pending_jobs'), 10, 'what each reads from Redis is not added up')
  }

  process.kill(childrenOf(service.pid)[0]!, 'SIGKILL')
  await eventually('another has taken its place', async () => {
    const metric = await metricsAt(`${service.url}/metrics`)
    t.ok([10, Number.NaN].includes(metric(received)), String(metric(received)))
    return metric('assent_ready') === 1 && metric(restarted) === 1
  }, 60_000)
  for (let batches = 0; batches < 4; batches++) t.equal((await postAlone(service, token)).status, 202)
  t.equal((await metricsAt(`${service.url}/metrics`))(received), 14)
  const { code, stdout } = await service.end('SIGTERM')
  t.equal(code, 0)
  t.equal(stdout.split('assent listening on').length, 2, 'it is said once')
  t.match(stdout, /"what":"collector-restarted","kind":"SIGKILL"/)
})

t.test('metrics with a port of their own are told also while a process hangs, which is not ready', async t => {
  const free = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => free.once('listening', resolve))
  const { port } = free.address() as AddressInfo
  await new Promise(resolve => free.close(resolve))
  const service = await startProcess(t, { ...await settingsOf(t), METRICS_PORT: String(port) })
  const token = await service.token({ sub: 'ada' })
  for (let batches = 0; batches < 4; batches++) t.equal((await postAlone(service, token)).status, 202)
  t.equal((await service.call('GET', '/metrics')).status, 404)
  const url = `http://127.0.0.1:${String(port)}/metrics`
  const before = await metricsAt(url)
  t.same([before(received), before('assent_ready')], [4, 1])

  const [hung] = childrenOf(service.pid)
  process.kill(hung!, 'SIGSTOP')
  const during = await metricsAt(url)
  t.same([during(received), during('assent_ready')], [4, 0])
  process.kill(hung!, 'SIGCONT')
  await eventually('it works again', async () => (await metricsAt(url))('assent_ready') === 1, 60_000)
  const { stdout } = await service.end('SIGTERM')
  t.equal(stdout.split(`assent metrics on ${url}`).length, 2)
})

t.test('processes that share a port count a subject together', async t => {
  const limit = 100
  const service = await startProcess(t, { ...await settingsOf(t), RATE_LIMIT_PER_SUBJECT: String(limit) })
  const token = await service.token({ device_id: 'pc' })
  await eventually('a window has time left', async () => Number((await service.call('GET', '/v1/catalog')).headers.get('ratelimit-reset')) >= 7)
  // Each alone would let through a whole limit.
  let taken = 0
  for (; taken < limit * 1.25 && (await postAlone(service, token)).status === 202; taken++) await sleep(20)
  t.ok(taken >= limit && taken < limit * 1.25, `of ${String(limit)} they took ${String(taken)}`)
})

t.test('what is wrong stops the start of all, and is told once', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.teardown(() => holder.close())
  await new Promise(resolve => holder.once('listening', resolve))
  const taken = String((holder.address() as AddressInfo).port)
  const settings = await settingsOf(t)
  const wrong: Array<[Record<string, string>, RegExp]> = [
    [{ PORT: taken }, new RegExp(`PORT ${taken} on 127\\.0\\.0\\.1 is in use`)],
    [{ METRICS_PORT: taken }, new RegExp(`METRICS_PORT ${taken} on 127\\.0\\.0\\.1 is in use`)],
    [{ HOST: '203.0.113.7', DEV_TOOLS: 'on' }, /HOST 203\.0\.113\.7 is no address of this machine/],
    [{ REDIS_URL: 'redis://127.0.0.1:1' }, /REDIS_URL cannot be reached/],
    [{ SCHEMAS_DIR: '/none' }, /purposes\.json/],
    [{ ROLE: 'all' }, /COLLECTOR_PROCESSES must be 1 unless ROLE is collector/]
  ]
  for (const [settled, reason] of wrong) {
    const { code, stdout, stderr } = await runToEnd(t, { ...settings, ...settled })
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr.trimEnd().split('\n').filter(line => !line.startsWith('assent: starting')), [reason])
  }
})
