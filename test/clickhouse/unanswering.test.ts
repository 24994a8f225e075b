import t, { type Test } from 'tap'
import { startBridge, type Bridge } from '../support/clickhouse-bridge.ts'
import { isProblem } from '../support/problems.ts'
import { startRedisServer } from '../support/redis-servers.ts'
import { eventually, startTestService } from '../support/service.ts'

/** A probe of the manifests gives up after four seconds, Prometheus after ten. */
const answeredWithinMs = 3900

/** Has ClickHouse take connections and answer nothing from here on. Gives what wakes it. */
function hang (t: Test, bridge: Bridge): () => void {
  const pid = bridge.pid()
  const wake = (): void => { process.kill(pid, 'SIGCONT') }
  t.teardown(wake)
  process.kill(pid, 'SIGSTOP')
  return wake
}

t.test('a ClickHouse that hangs makes a process not ready, and holds up neither that answer nor the metrics', async t => {
  const bridge = await startBridge(t)
  const service = await startTestService(t, { CLICKHOUSE_URL: bridge.url })
  const wake = hang(t, bridge)
  const started = performance.now()
  const [ready, metrics] = await Promise.all([
    service.call('GET', '/health/ready'),
    fetch(`${service.service.url}/metrics`).then(async answer => await answer.text())
  ])
  t.ok(performance.now() - started < answeredWithinMs, `both took ${String(Math.round(performance.now() - started))} ms`)
  t.match(ready, { status: 503, body: { ready: false, redis: true, clickhouse: false } })
  t.match(metrics, /^assent_ready 0$/m)
  wake()
  await eventually('it is ready', async () => (await service.call('GET', '/health/ready')).status === 200)
})

t.test('a process of role api stays ready while ClickHouse is away: who says no must reach it', async t => {
  const [bridge, redis] = await Promise.all([startBridge(t), startRedisServer(t)])
  const service = await startTestService(t, { ROLE: 'api', REDIS_URL: `redis://127.0.0.1:${String(redis.port)}`, CLICKHOUSE_URL: bridge.url })
  const token = await service.token({ sub: 'ada' })
  const because = { 'purpose-of-use': 'request 1' }
  await bridge.kill()
  t.match(await service.call('GET', '/health/ready'), { status: 200, body: { ready: true, clickhouse: false } })
  t.match(await service.call('POST', '/v1/me/privacy/stop', { token }), { status: 200, body: { account: { product_analytics: { state: 'denied' } } } })
  const team = await service.token({ sub: 'tess', scope: 'privacy:read' })
  isProblem(t, await service.call('GET', '/v1/privacy/accounts/ada', { token: team, headers: because }), 503, 'unavailable', '/v1/privacy/accounts/ada')
})
