import t from 'tap'
import { signIn, type Answer } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, startTestService, type TestService } from '../support/service.ts'

/** Asks until a batch is refused, and gives the refusal. */
async function refusal (service: TestService, token: string): Promise<Answer> {
  let answer: Answer | undefined
  await eventually('a batch is refused', async () => {
    answer = await service.post(token)
    return answer.status !== 202
  })
  return answer!
}

async function takenAgain (service: TestService, token: string): Promise<void> {
  await eventually('batches are taken again', async () => (await service.post(token)).status === 202)
}

async function metric (service: TestService, line: RegExp): Promise<boolean> {
  return line.test(await (await fetch(`${service.service.url}/metrics`)).text())
}

async function memoryAt (service: TestService, share: number): Promise<void> {
  const used = Number(/^used_memory:([0-9]+)/m.exec(await service.redis.info('memory'))![1])
  await service.redis.config('SET', 'maxmemory', Math.round(used / share))
}

t.test('a Redis that fills up sheds batches first, and choices never', async t => {
  const service = await startTestService(t)
  const ada = await signIn(service, 'ada', 'product_analytics')
  const bob = await signIn(service, 'bob', 'product_analytics')
  const change = await service.verify(ada.token, ada.email, 'privacy.update')
  const etag = (await service.call('GET', '/v1/me/privacy', { token: ada.token })).headers.get('etag')!

  await memoryAt(service, 0.74)
  const slow = await refusal(service, ada.token)
  isProblem(t, slow, 429, 'rate-limited', '/v1/events')
  t.equal(slow.headers.get('ratelimit-remaining'), '0')
  t.ok(await metric(service, /^assent_shed_requests_total\{reason="redis-memory"\} [1-9]/m))
  t.ok(await metric(service, /^assent_shedding\{reason="redis-memory"\} 1/m))

  await memoryAt(service, 0.88)
  await eventually('it is told that nothing can be taken', async () => (await service.post(ada.token)).status === 503)
  isProblem(t, await service.post(ada.token), 503, 'unavailable', '/v1/events')

  await service.redis.config('SET', 'maxmemory', '1000000')
  await t.rejects(service.redis.set('anything', 'more'), /OOM/, 'Redis takes nothing more')
  const patched = await service.call('PATCH', '/v1/me/privacy', {
    token: ada.token, body: { account: { product_analytics: 'denied' } }, headers: { 'if-match': etag, 'verification-token': change }
  })
  t.match(patched, { status: 200, body: { account: { product_analytics: { state: 'denied' } } } })
  t.match(await service.call('POST', '/v1/me/privacy/stop', { token: bob.token }), { status: 200, body: { account: { product_analytics: { state: 'denied' } } } })
  for (const path of ['/health/live', '/health/ready']) t.equal((await service.call('GET', path)).status, 200, path)
  t.equal((await service.call('GET', '/v1/me/privacy', { token: ada.token })).body['account'].product_analytics.state, 'denied')

  await service.redis.config('SET', 'maxmemory', '0')
  await takenAgain(service, ada.token)
  t.ok(await metric(service, /^assent_redis_memory_ratio 0$/m))
})

t.test('a queue at its high-water mark takes no more, and again once it has drained', async t => {
  const service = await startTestService(t, { QUEUE_JOBS_MAX: '3' })
  const ada = await signIn(service, 'ada', 'product_analytics')
  service.service.writer!.pause()
  isProblem(t, await refusal(service, ada.token), 503, 'unavailable', '/v1/events')
  t.ok(await metric(service, /^assent_shedding\{reason="queue"\} 1/m))
  t.equal((await service.call('POST', '/v1/me/privacy/stop', { token: ada.token })).status, 200)
  service.service.writer!.resume()
  await takenAgain(service, ada.token)
})

t.test('a process has only so many batches in hand; what it has is answered', async t => {
  const service = await startTestService(t, { INTAKE_BATCHES_MAX: '2' })
  const ada = await signIn(service, 'ada', 'product_analytics')
  await service.redis.client('PAUSE', 1500, 'WRITE')
  const inHand = [service.post(ada.token), service.post(ada.token)]
  isProblem(t, await refusal(service, ada.token), 503, 'unavailable', '/v1/events')
  t.ok(await metric(service, /^assent_shed_requests_total\{reason="batches-in-hand"\} [1-9]/m))
  t.equal((await service.call('GET', '/health/live')).status, 200)
  t.same((await Promise.all(inHand)).map(({ status }) => status), [202, 202])
  await takenAgain(service, ada.token)
  await eventually('exactly what was acknowledged is stored', async () => await service.count('events_v') === 3)
})

t.test('an event loop that is late takes no batch until it keeps up', async t => {
  const service = await startTestService(t, { EVENT_LOOP_DELAY_MAX_MS: '50' })
  const ada = await signIn(service, 'ada')
  let answer: Answer | undefined
  await eventually('a batch is refused', async () => {
    for (const until = Date.now() + 600; Date.now() < until;);
    answer = await service.post(ada.token)
    return answer.status === 503
  })
  isProblem(t, answer!, 503, 'unavailable', '/v1/events')
  t.ok(await metric(service, /^assent_shed_requests_total\{reason="event-loop"\} [1-9]/m))
  await takenAgain(service, ada.token)
})
