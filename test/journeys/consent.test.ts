import t from 'tap'
import { signIn } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)

const ask = async (token: string, query = 'product=cad&release=2026', headers: Record<string, string> = {}) =>
  await service.call('GET', `/v1/consent?${query}`, { token, headers })

t.test('a product is told what it may collect, and why', async t => {
  const { token } = await signIn(service, 'ada', 'product_analytics')
  const { status, body, headers } = await ask(token)
  t.equal(status, 200)
  t.same(body, {
    revision: 1,
    decisions: {
      service_delivery: { allowed: true, reason: 'required' },
      license_compliance: { allowed: true, reason: 'required' },
      product_analytics: { allowed: true, reason: 'account_granted' },
      diagnostics: { allowed: false, reason: 'not_granted' },
      content_insights: { allowed: false, reason: 'not_granted' },
      personalization: { allowed: false, reason: 'not_granted' }
    },
    required: ['service_delivery', 'license_compliance']
  })
  t.match(headers.get('etag'), /^"[\w-]+"$/)
})

t.test('the answer is the one that events would get', async t => {
  const { token } = await signIn(service, 'bob', 'product_analytics')
  const decision = async (query: string, as = token) => (await ask(as, query)).body['decisions'].product_analytics
  t.same(await decision('product=cad&release=2022'), { allowed: false, reason: 'not_granted' }, 'a release that the device governs')
  t.same(await decision('product=viewer&release=2021'), { allowed: true, reason: 'account_granted' }, 'an older release that the account governs')
  t.same(await decision('product=viewer&release=2024'), { allowed: false, reason: 'not_granted' }, 'a newer release that the device governs')
  t.same(await decision('product=render&release=2024'), { allowed: false, reason: 'not_granted' }, 'a product that is account-wide later')
  t.same(await decision('product=cad&release=2029'), { allowed: false, reason: 'unknown_product' })
  t.same(await decision('product=abacus&release=2026'), { allowed: false, reason: 'unknown_product' })
  t.same(await decision('product=cad&release=2026', await service.token({})), { allowed: false, reason: 'no_subject' })
  t.same(await decision('product=cad&release=2022', await service.token({ sub: 'bob' })), { allowed: false, reason: 'no_device' })
  t.same(await decision('product=cad&release=2022&device_id=other', await service.token({ sub: 'bob' })), { allowed: false, reason: 'not_granted' })
})

t.test('what has not changed is not sent again, what has is', async t => {
  const { token } = await signIn(service, 'eve', 'product_analytics')
  const etag = (await ask(token)).headers.get('etag')!
  const again = await ask(token, undefined, { 'if-none-match': etag })
  t.equal(again.status, 304)
  t.same(again.body, {})
  t.equal(again.headers.get('etag'), etag)
  t.equal((await ask(token, undefined, { 'if-none-match': '"other"' })).status, 200)
  for (const several of [`"other", ${etag}`, `W/${etag}`, '*']) t.equal((await ask(token, undefined, { 'if-none-match': several })).status, 304, several)

  t.equal((await service.call('POST', '/v1/me/privacy/stop', { token })).status, 200)
  const stopped = await ask(token, undefined, { 'if-none-match': etag })
  t.equal(stopped.status, 200, 'the request after the answer to a denial sees it')
  t.match(stopped.body, { revision: 5, decisions: { product_analytics: { allowed: false, reason: 'account_denied' } } })
  t.not(stopped.headers.get('etag'), etag)
})

t.test('a no of the device alone changes the answer of who is signed in there', async t => {
  const { token, deviceId } = await signIn(service, 'carol', 'product_analytics')
  const etag = (await ask(token)).headers.get('etag')!
  const body = { product_analytics: 'denied' }
  t.equal((await service.call('PUT', `/v1/devices/${deviceId}/privacy`, { token: await service.token({ device_id: deviceId }), body })).status, 200)
  t.match(await ask(token, undefined, { 'if-none-match': etag }), { status: 200, body: { decisions: { product_analytics: { reason: 'device_denied' } } } })
})

t.test('a batch is answered with the purposes to stop collecting', async t => {
  const { token, choose } = await signIn(service, 'dora', 'product_analytics', 'diagnostics')
  t.same((await service.post(token)).body['consent'], { revision: 2, stop: ['content_insights', 'personalization'] })
  await choose({ product_analytics: 'denied' })
  t.same((await service.post(token)).body['consent'], { revision: 3, stop: ['product_analytics', 'content_insights', 'personalization'] })
  t.same((await service.post(token, { product: { name: 'cad', release: 2022 } })).body['consent'],
    { revision: 3, stop: ['product_analytics', 'diagnostics', 'content_insights', 'personalization'] })
})

t.test('a question that cannot be answered is refused', async t => {
  const { token } = await signIn(service, 'fred')
  for (const query of ['', 'product=cad', 'release=2026', 'product=cad&release=26', 'product=cad&release=2026.0', 'product=c%20d&release=2026', 'product=cad&release=2026&more=1',
    'product=cad&product=cad&release=2026', 'product=cad&release=2026&device_id=', 'product=cad&release=2026&device_id=a%2Fb']) {
    t.match(await ask(token, query), { status: 400, body: { type: '/problems/invalid-request' } }, query)
  }
  t.match(await ask(token, 'product=cad&release=2026&device_id=other'), { status: 403, body: { type: '/problems/device-mismatch' } })
  t.equal((await service.call('GET', '/v1/consent?product=cad&release=2026')).status, 401)
  t.equal((await ask(await service.token({ sub: 'fred', scope: 'settings' }))).status, 403)
})
