import t from 'tap'
import { signIn, type Answer } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, startTestService } from '../support/service.ts'

const limited = { RATE_LIMITS: 'on', EMAIL_RESEND_SECONDS: '0' }

/** As many calls as it takes until one is refused, at most `max`; all before it, and it. */
async function untilRefused (max: number, ask: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  do answers.push(await ask()); while (answers.at(-1)!.status !== 429 && answers.length < max)
  return answers
}

function rateOf ({ headers }: Answer): Record<string, number> {
  return Object.fromEntries(['limit', 'remaining', 'reset'].map(name => [name, Number(headers.get(`ratelimit-${name}`) ?? NaN)]))
}

t.test('an account may make so many requests, and others are not touched by it', async t => {
  const service = await startTestService(t, { ...limited, RATE_LIMIT_PER_SUBJECT: '30' })
  const ada = await signIn(service, 'ada', 'product_analytics')
  const bob = await signIn(service, 'bob')
  const change = await service.verify(ada.token, ada.email, 'privacy.update')
  const etag = (await service.call('GET', '/v1/me/privacy', { token: ada.token })).headers.get('etag')!

  // The window may end in between, so that it takes more than one limit's worth.
  const answers = await untilRefused(100, async () => await service.post(ada.token))
  const [first, refused] = [answers[0]!, answers.at(-1)!]
  isProblem(t, refused, 429, 'rate-limited', '/v1/events')
  t.match(rateOf(first), { limit: 30, remaining: Number, reset: Number })
  t.match(rateOf(refused), { limit: 30, remaining: 0, reset: Number(refused.headers.get('retry-after')) })
  t.ok(Number(refused.headers.get('retry-after')) <= 10)
  t.equal((await service.call('GET', '/v1/me/privacy', { token: ada.token })).status, 429, 'it is one limit for all that an account asks')
  t.equal((await service.post(bob.token)).status, 202)

  const patch = async (decision: string): Promise<Answer> => await service.call('PATCH', '/v1/me/privacy', {
    token: ada.token, body: { account: { product_analytics: decision } }, headers: { 'if-match': etag, 'verification-token': change }
  })
  isProblem(t, await patch('granted'), 429, 'rate-limited', '/v1/me/privacy')
  for (const body of [{}, { account: {} }, { account: ['denied'], devices: 1 }, [], 7, { account: Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`p${String(n)}`, 'denied'])) }]) {
    isProblem(t, await service.call('PATCH', '/v1/me/privacy', { token: ada.token, body, headers: { 'if-match': etag } }), 429, 'rate-limited', '/v1/me/privacy', JSON.stringify(body).slice(0, 60))
  }
  t.equal((await patch('denied')).status, 200, 'a denial gets through')
  t.equal((await service.call('POST', '/v1/me/privacy/stop', { token: ada.token })).status, 200)
  for (const path of ['/health/live', '/health/ready', '/metrics']) t.equal((await fetch(service.service.url + path)).status, 200, path)
  t.match(await (await fetch(`${service.service.url}/metrics`)).text(), /^assent_rate_limited_requests_total\{by="subject"\} [1-9]/m)

  await eventually('the next window lets everything through', async () => (await service.post(ada.token)).status === 202)
})

t.test('a device that nobody is signed in on is counted by itself', async t => {
  const service = await startTestService(t, { ...limited, RATE_LIMIT_PER_SUBJECT: '30' })
  const [one, other] = await Promise.all(['pc-1', 'pc-2'].map(async id => await service.token({ device_id: id })))
  t.equal((await untilRefused(100, async () => await service.post(one!))).at(-1)!.status, 429)
  t.equal((await service.post(other!)).status, 202)
  t.equal((await service.call('PUT', '/v1/devices/pc-1/privacy', { token: one!, body: { product_analytics: 'denied' } })).status, 200, 'its denial gets through')
  t.equal((await service.call('PUT', '/v1/devices/pc-1/privacy', { token: one!, body: { product_analytics: 'granted' } })).status, 429)
})

t.test('an address may make so many requests, whoever it says that it is', async t => {
  const service = await startTestService(t, { ...limited, RATE_LIMIT_PER_ADDRESS: '30' })
  const ada = await signIn(service, 'ada')
  let n = 0
  const answers = await untilRefused(100, async () => await service.call('GET', '/v1/catalog', { headers: { 'x-forwarded-for': `203.0.113.${String(n++ % 250)}` } }))
  isProblem(t, answers.at(-1)!, 429, 'rate-limited', '/v1/catalog')
  for (const path of ['/nowhere', '/docs/json', '/docs/static/swagger-ui.css']) isProblem(t, await service.call('GET', path), 429, 'rate-limited', path)
  isProblem(t, await service.call('POST', '/v1/events', { token: 'no.token.at-all', body: {} }), 429, 'rate-limited', '/v1/events')
  const stop = async (token: string): Promise<Answer> => await service.call('POST', '/v1/me/privacy/stop', { token })
  isProblem(t, await stop('no.token.at-all'), 429, 'rate-limited', '/v1/me/privacy/stop', 'nor are bad tokens looked at without end')
  isProblem(t, await service.call('PATCH', '/v1/me/privacy', { token: 'no.token.at-all', body: {} }), 429, 'rate-limited', '/v1/me/privacy')
  t.equal((await stop(ada.token)).status, 200, 'who may say no always can')
  t.equal((await service.call('GET', '/health/live')).status, 200)
})

t.test('what an address is refused for asking too much leaves no row of the team\'s calls: a stranger would fill Redis with them', async t => {
  const service = await startTestService(t, { ...limited, RATE_LIMIT_PER_ADDRESS: '30', TRUST_PROXY: '127.0.0.1' })
  const flood = async (): Promise<Answer> => await service.call('GET', '/v1/privacy/nope', { token: 'no.token.at-all', headers: { 'purpose-of-use': 'a flood', 'x-forwarded-for': '203.0.113.9' } })
  const recorded = async (status: number): Promise<number> => await service.count(`access_log FINAL WHERE purpose_of_use = 'a flood' AND status = ${String(status)}`)
  const taken = (await untilRefused(100, flood)).length - 1
  await Promise.all(Array.from({ length: 50 }, flood))
  // This test's own address has the same limit.
  await eventually('the calls that were looked at are on record', async () => await recorded(404).catch(() => 0) >= taken)
  await eventually('the others are counted', async () => await recorded(429).then(rows => { t.equal(rows, 0); return true }, () => false))
})

t.test('behind a trusted proxy an address is the one that the proxy tells; of IPv6, its network', async t => {
  const service = await startTestService(t, { ...limited, RATE_LIMIT_PER_ADDRESS: '30', TRUST_PROXY: '127.0.0.1' })
  const from = async (address: string): Promise<Answer> => await service.call('GET', '/v1/catalog', { headers: { 'x-forwarded-for': address } })
  t.equal((await untilRefused(100, async () => await from('203.0.113.7'))).at(-1)!.status, 429)
  t.equal((await from('203.0.113.8')).status, 200)
  t.equal((await from('203.0.113.8, 203.0.113.7')).status, 429, 'what stands before the proxy\'s own word is anybody\'s')
  let n = 0
  t.equal((await untilRefused(100, async () => await from(`2001:db8:0:1::${(n++).toString(16)}`))).at(-1)!.status, 429)
  t.equal((await from('2001:db8:0:2::1')).status, 200)
  for (const told of [() => `198.51.100.7:${String(1000 + n++)}`, () => `[2001:db8:0:3::1]:${String(1000 + n++)}`, () => `no address ${String(n++)}`]) {
    t.equal((await untilRefused(100, async () => await from(told()))).at(-1)!.status, 429, `as ${told()}`)
  }
})
