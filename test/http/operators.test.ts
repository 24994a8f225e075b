import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { heartbeat, makeEvent, signIn } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, startTestService, type TestService } from '../support/service.ts'

/** The value of one time series, NaN when there is none. */
async function metric (url: string, series: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(text.split('\n').find(line => line.startsWith(`${series} `))?.slice(series.length) ?? NaN)
}

/** Makes the service's Redis hang, without closing a connection, while something is done. */
async function withHangingRedis (t: Test, { redis }: TestService, act: () => Promise<void>): Promise<void> {
  const pid = Number(/process_id:([0-9]+)/.exec(await redis.info('server'))?.[1])
  const wake = (): void => { process.kill(pid, 'SIGCONT') }
  t.teardown(wake)
  process.kill(pid, 'SIGSTOP')
  await act().finally(wake)
}

t.test('for those who run it', async t => {
  const service = await startTestService(t, { EMAIL_CODE_DIGITS: '10' })
  const ada = await signIn(service, 'ada', 'product_analytics')
  const url = service.service.url

  t.test('it is alive, and ready when all it needs is there', async t => {
    t.match(await service.call('GET', '/health/live'), { status: 200, body: { live: true } })
    t.match(await service.call('GET', '/health/ready'), { status: 200, body: { ready: true, redis: true, clickhouse: true, pending: 0 } })
  })

  t.test('it counts what came, what became of it, and how long that took', async t => {
    await service.post(ada.token, { events: [makeEvent(), makeEvent(heartbeat), makeEvent({ name: 'crash.reported', properties: { signature: '0'.repeat(64), kind: 'hang' } }), null] })
    await eventually('they are stored', async () => await metric(url, 'assent_events_stored_total') === 2)
    t.equal(await metric(url, 'assent_events_received_total'), 4)
    t.equal(await metric(url, 'assent_events_accepted_total'), 2)
    t.equal(await metric(url, 'assent_events_dropped_total{reason="not_granted",stage="intake"}'), 1)
    t.equal(await metric(url, 'assent_events_rejected_total{reason="invalid_event"}'), 1)
    t.equal(await metric(url, 'assent_insert_rows_sum'), 2)
    t.equal(await metric(url, 'assent_insert_rows_count'), await metric(url, 'assent_insert_seconds_count'))
    t.equal(await metric(url, 'assent_request_seconds_count{method="POST",route="/v1/events",status="202"}'), 1)
    t.equal(await metric(url, 'assent_queue_dead_jobs'), 0)
    for (const series of ['assent_trouble_total{what="batch-dead"}', 'assent_insert_errors_total{kind="disk-full"}', 'assent_mail_pending_letters']) {
      t.equal(await metric(url, series), 0, `${series} is there before anything happens`)
    }
    t.equal(await metric(url, 'assent_mail_letters_total{outcome="sent"}'), 1)
    t.equal(await metric(url, 'assent_ready'), 1)
    await eventually('the ledger has left its outbox', async () => await metric(url, 'assent_backlog_entries{stream="ledger"}') === 0)
  })

  t.test('it counts what waits and what is dropped at the last moment', async t => {
    service.service.writer?.pause()
    await service.post(ada.token, { events: [makeEvent(), makeEvent()] })
    t.equal(await metric(url, 'assent_queue_pending_jobs'), 1)
    await service.call('POST', '/v1/me/privacy/stop', { token: ada.token })
    service.service.writer?.resume()
    await eventually('they are dropped', async () => await metric(url, 'assent_events_dropped_total{reason="account_denied",stage="write"}') === 2)
    await eventually('nothing waits', async () => await metric(url, 'assent_queue_pending_jobs') === 0)
  })

  t.test('it tells how long the oldest batch has waited, whoever holds it', async t => {
    service.service.writer?.pause()
    t.teardown(() => service.service.writer?.resume())
    await service.post(ada.token, { events: [makeEvent(heartbeat)] })
    await eventually('it grows old', async () => await metric(url, 'assent_queue_oldest_seconds') > 0.1)
  })

  t.test('however many ask at once how it is doing, Redis is asked little more than for one', async t => {
    const commands = async (): Promise<number> => Number(/^total_commands_processed:([0-9]+)/m.exec(await service.redis.info('stats'))?.[1])
    const causedBy = async (asking: number): Promise<number> => {
      const before = await commands()
      // Nobody is answered before all have asked.
      await service.redis.client('PAUSE', 1000, 'ALL')
      const ask = async (path: string): Promise<void> => { t.equal((await fetch(url + path)).status, 200) }
      await Promise.all(Array.from({ length: asking }, async () => { await Promise.all(['/health/ready', '/metrics'].map(ask)) }))
      return await commands() - before
    }
    const [one, many] = [await causedBy(1), await causedBy(60)]
    t.ok(many < 5 * one, `${String(one)} commands for one, ${String(many)} for 60`)
  })

  t.test('while Redis hangs it is alive but not ready, refuses with a time to come back, and recovers by itself', async t => {
    await withHangingRedis(t, service, async () => {
      const [ready, live, batch, consent, challenge, settings, metrics] = await Promise.all([
        service.call('GET', '/health/ready'),
        service.call('GET', '/health/live'),
        service.post(ada.token, { events: [makeEvent(heartbeat)] }),
        service.call('GET', '/v1/consent?product=cad&release=2026', { token: ada.token }),
        service.call('POST', '/v1/verification/challenges', { token: ada.token, body: { purpose: 'privacy.update' } }),
        service.call('POST', '/v1/me/privacy/stop', { token: ada.token }),
        fetch(`${url}/metrics`).then(async answer => await answer.text())
      ])
      t.match(ready, { status: 503, body: { ready: false, redis: false, clickhouse: true, pending: null } })
      t.match(ready.headers.get('retry-after'), /^[1-9]/)
      t.equal(live.status, 200)
      isProblem(t, batch, 503, 'unavailable', '/v1/events')
      isProblem(t, consent, 503, 'unavailable', '/v1/consent')
      isProblem(t, challenge, 503, 'verification-unavailable', '/v1/verification/challenges')
      isProblem(t, settings, 503, 'unavailable', '/v1/me/privacy/stop')
      t.match(metrics, /^assent_events_received_total 7$/m)
      t.notMatch(metrics, /^assent_(?:queue_pending_jobs|backlog_entries|mail_pending_letters)/m, 'what cannot be told is left out')
      t.match(metrics, /^assent_ready 0$/m)
    })
    await eventually('it is ready', async () => (await service.call('GET', '/health/ready')).status === 200)
    t.match(await service.post(ada.token, { events: [makeEvent(heartbeat)] }), { status: 202 })
    await eventually('that event, and not the refused one, is stored', async () => await service.count('events_v') === 4)
  })

  t.test('its log is made of fixed names, counts and durations, and names nobody', async t => {
    const forwarded = { 'x-forwarded-for': '203.0.113.7', 'user-agent': 'cad-desktop/26.1' }
    await service.call('GET', '/v1/me/privacy?who=grace%40example.com', { token: ada.token, headers: forwarded })
    await service.call('GET', '/v1/verification/challenges/challenge-of-ada', { token: ada.token, headers: forwarded })
    const lines = service.logs.map(line => JSON.parse(line) as Record<string, unknown>)
    t.ok(lines.some(({ msg }) => msg === 'events.stored') && lines.some(({ msg }) => msg === 'request.unavailable'), 'there is a log')
    for (const { msg } of lines) t.match(msg, /^[a-z]+\.[a-z-]+$/)
    const told = lines.map(({ time: _time, pid: _pid, hostname: _hostname, ...line }) => JSON.stringify(line)).join('\n')
    const secrets = ['ada', ada.token.slice(-20), 'pc-', 'example.com', '203.0.113', '127.0.0.1', 'cad-desktop', 'LINE', 'LIC-', 'challenge-of', '@', 'eyJ']
    for (const secret of secrets) t.notOk(told.includes(secret), secret)
    t.notMatch(told, /[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}|\b[0-9]{10}\b/, 'no pseudonym, id or code')
  })
})

t.test('metrics can have a port of their own, and are nowhere else then', async t => {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  await new Promise(resolve => free.close(resolve))
  const service = await startTestService(t, { METRICS_PORT: String(port) })
  isProblem(t, await service.call('GET', '/metrics'), 404, 'not-found', '/metrics')
  t.equal(await metric(`http://127.0.0.1:${String(port)}`, 'assent_events_received_total'), 0)
  t.equal((await fetch(`http://127.0.0.1:${String(port)}/v1/catalog`)).status, 404, 'and nothing else is there')
})
