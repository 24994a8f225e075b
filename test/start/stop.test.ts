import { Redis } from 'ioredis'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { fates, heartbeat, makeBatch, makeEvent, signIn } from '../support/api.ts'
import { openRaw, readAnswers } from '../support/raw-http.ts'
import { eventually } from '../support/service.ts'
import { makeFolder, startProcess, type ServiceProcess } from './process.ts'

/** Whether a Redis of that data directory still answers. */
async function redisAnswers (dataDir: string): Promise<boolean> {
  const redis = new Redis({ path: join(dataDir, 'redis', 'redis.sock'), lazyConnect: true, retryStrategy: () => null })
  redis.on('error', () => {})
  return await redis.connect().then(() => true, () => false).finally(() => { redis.disconnect() })
}

async function storedIds (service: ServiceProcess): Promise<string[]> {
  return (await service.sql<{ event_id: string }>('SELECT event_id FROM events_v')).map(row => row.event_id).sort()
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} under load ends the service in order, and what was acknowledged is stored once`, async t => {
    const dataDir = await makeFolder(t)
    const first = await startProcess(t, { DATA_DIR: dataDir, RATE_LIMITS: 'off' })
    const token = await first.token({ sub: 'ada', expires_in: 86_400 })
    const acknowledged: string[] = []
    const refused: number[] = []
    let stopping = false
    const clients = Array.from({ length: 8 }, async () => {
      while (!stopping) {
        const events = Array.from({ length: 20 }, () => makeEvent(heartbeat))
        const answer = await first.post(token, { events }).catch(() => undefined)
        if (answer?.status === 202) acknowledged.push(...events.map(event => event['id'] as string))
        else if (answer !== undefined) refused.push(answer.status)
        if (answer === undefined) return // The service takes no more requests.
      }
    })
    await eventually('there is load', async () => acknowledged.length > 2000)
    const ending = first.end(signal)
    if (signal === 'SIGINT') process.kill(first.pid, signal) // From the terminal, and passed on by npm.
    const { code, stderr } = await ending
    stopping = true
    await Promise.all(clients)
    t.equal(code, 0)
    t.same(refused, [], 'what still reaches it is served')
    t.match(stderr, /finishing what is in hand/)
    t.notOk(await redisAnswers(dataDir), 'its Redis has ended too')

    const second = await startProcess(t, { DATA_DIR: dataDir, RATE_LIMITS: 'off' })
    await eventually('what waited is stored', async () => (await storedIds(second)).length >= acknowledged.length)
    const stored = new Set(await storedIds(second))
    t.same(acknowledged.filter(id => !stored.has(id)), [])
    t.equal((await storedIds(second)).length, stored.size)
    t.equal((await second.end(signal)).code, 0)
  })
}

t.test('a second start on a data directory goes on where the first ended', async t => {
  const dataDir = await makeFolder(t)
  const first = await startProcess(t, { DATA_DIR: dataDir, RATE_LIMITS: 'off' })
  const ada = await signIn(first, 'ada', 'product_analytics')
  const kiosk = await first.token({ device_id: 'kiosk', expires_in: 86_400 })
  await first.call('PUT', '/v1/devices/kiosk/privacy', { token: kiosk, body: { product_analytics: 'denied' } })
  const before = makeEvent()
  await first.post(ada.token, { events: [before] })
  const settings = (await first.call('GET', '/v1/me/privacy', { token: ada.token })).body
  const verification = await first.verify(ada.token, ada.email, 'privacy.update')
  t.equal((await first.end('SIGTERM')).code, 0)

  const second = await startProcess(t, { DATA_DIR: dataDir, RATE_LIMITS: 'off' })
  t.same((await second.call('GET', '/v1/me/privacy', { token: ada.token })).body, settings, 'the token is still good, the choices are still there')
  const after = makeEvent()
  t.same(fates(await second.post(ada.token, { events: [after] }), [after]), ['accepted'])
  const dropped = makeEvent()
  t.same(fates(await second.post(kiosk, { events: [dropped] }), [dropped]), ['device_denied'])
  await eventually('both events are there', async () => (await storedIds(second)).length === 2)
  t.same(await storedIds(second), [before['id'], after['id']].sort())
  t.equal((await second.sql('SELECT DISTINCT account_ref, device_ref FROM events_v')).length, 1, 'under the same pseudonyms')
  t.match((await second.call('GET', '/v1/me/privacy/history', { token: ada.token })).body['entries'], [{ purpose: 'product_analytics', revision: 1 }])
  const changed = await second.call('PATCH', '/v1/me/privacy', {
    token: ada.token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': '"1"', 'verification-token': verification }
  })
  t.equal(changed.status, 200, 'so is a verification that was not spent')
})

t.test('told to end, it first says so and serves on, on connections that it closes', async t => {
  const service = await startProcess(t, { DATA_DIR: await makeFolder(t), SHUTDOWN_DELAY: '3s' })
  const token = await service.token({ sub: 'ada' })
  t.equal((await service.call('GET', '/health/ready')).headers.get('connection'), 'keep-alive')
  const ending = service.end('SIGTERM')
  await eventually('it is not ready', async () => (await service.call('GET', '/health/ready')).status === 503)
  t.match(await service.call('GET', '/health/ready'), { status: 503, body: { ready: false, stopping: true, redis: true, clickhouse: true } })
  t.equal((await service.call('GET', '/health/live')).status, 200)
  const answer = await service.post(token, { events: [makeEvent(heartbeat)] })
  t.equal(answer.status, 202)
  t.equal(answer.headers.get('connection'), 'close')
  t.equal((await ending).code, 0)
})

t.test('told a second time, it ends at once', async t => {
  const service = await startProcess(t, { DATA_DIR: await makeFolder(t), SHUTDOWN_DELAY: '15s' })
  const ending = service.end('SIGTERM')
  await sleep(1200) // Sooner, it would be taken for the same signal again.
  process.kill(service.pid, 'SIGTERM')
  t.equal((await ending).code, 1)
})

t.test('a request whose head is still arriving when the port is closed is served', async t => {
  const service = await startProcess(t, { DATA_DIR: await makeFolder(t) })
  const body = JSON.stringify(makeBatch({ events: [makeEvent(heartbeat)] }))
  const { socket, ended } = openRaw(service.url, `POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${await service.token({ sub: 'ada' })}\r\n`)
  await service.call('GET', '/health/live')
  const ending = service.end('SIGTERM')
  await eventually('it takes no more connections', async () => await fetch(`${service.url}/health/live`).then(() => false, () => true))
  socket.write(`Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  t.match(readAnswers(await ended).map(({ status, headers }) => [status, headers.get('connection')]), [[202, 'close']])
  t.equal((await ending).code, 0)
})
