import t from 'tap'
import { fates, makeEvent, signIn, type Person } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)
const optional = ['product_analytics', 'diagnostics', 'content_insights', 'personalization']

const read = async ({ token }: Person) => await service.call('GET', '/v1/me/privacy', { token })
const etagOf = async (person: Person): Promise<string> => (await read(person)).headers.get('etag')!

/** A change with a fresh verification, against the newest ETag or another. */
async function patch (person: Person, body: unknown, ifMatch?: string): ReturnType<typeof read> {
  const verification = await service.verify(person.token, person.email, 'privacy.update')
  return await service.call('PATCH', '/v1/me/privacy', {
    token: person.token, body, headers: { 'if-match': ifMatch ?? await etagOf(person), 'verification-token': verification }
  })
}

t.test('who has chosen nothing sees every purpose, and that nothing optional is agreed to', async t => {
  const { status, body, headers } = await read(await signIn(service, 'new'))
  t.equal(status, 200)
  t.equal(headers.get('etag'), '"0"')
  t.same(body['account'], Object.fromEntries(optional.map(purpose => [purpose, { state: 'absent', since: null }])))
  t.match(body, { revision: 0, devices: [], default: 'denied', contact: /@/ })
  t.same(body['purposes'].map(({ id, required, changeable }: Record<string, unknown>) => [id, required, changeable]), [
    ['service_delivery', true, false], ['license_compliance', true, false], ...optional.map(purpose => [purpose, false, true])
  ])
  for (const purpose of body['purposes']) t.match(purpose, { title: /./, description: /./, legal_basis: /./ })
})

t.test('a change is answered with the settings it made, at the next revisions', async t => {
  const person = await signIn(service, 'ada')
  const before = Date.now()
  const { status, body, headers } = await patch(person, { account: { diagnostics: 'denied', product_analytics: 'granted' }, notice_version: '2026-05' })
  t.equal(status, 200)
  t.match(body, { revision: 2, account: { diagnostics: { state: 'denied' }, product_analytics: { state: 'granted' }, personalization: { state: 'absent' } } })
  t.equal(body['entries'].length, 2)
  t.equal(headers.get('etag'), '"2"')
  t.match(body['account'].product_analytics.since, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.ok(Date.parse(body['account'].product_analytics.since) >= before)
  const { entries: _, ...settings } = body
  t.same((await read(person)).body, settings)
})

t.test('a change without the ETag, or with an old one, changes nothing', async t => {
  const person = await signIn(service, 'stale', 'product_analytics')
  const token = await service.verify(person.token, person.email, 'privacy.update')
  const change = async (headers: Record<string, string>) => await service.call('PATCH', '/v1/me/privacy', {
    token: person.token, body: { account: { product_analytics: 'denied' } }, headers: { 'verification-token': token, ...headers }
  })
  t.match(await change({}), { status: 428, body: { type: '/problems/precondition-required' } })
  for (const ifMatch of ['"0"', '"2"', 'W/"1"', '1', '"x"']) t.match(await change({ 'if-match': ifMatch }), { status: 412, body: { type: '/problems/revision-mismatch' } }, ifMatch)
  t.match((await read(person)).body, { revision: 1, account: { product_analytics: { state: 'granted' } } })
  t.equal((await change({ 'if-match': '"1"' })).status, 200, 'the verification is still good')
})

t.test('of two changes that read the same settings one is made, the other told', async t => {
  const person = await signIn(service, 'race')
  const ifMatch = await etagOf(person)
  const tokens = [await service.verify(person.token, person.email, 'privacy.update'), await service.verify(person.token, person.email, 'privacy.update')]
  const answers = await Promise.all(tokens.map(async (token, index) => await service.call('PATCH', '/v1/me/privacy', {
    token: person.token, body: { account: { [optional[index]!]: 'granted' } }, headers: { 'if-match': ifMatch, 'verification-token': token }
  })))
  t.same(answers.map(({ status }) => status).sort(), [200, 412])
  t.equal((await read(person)).body['revision'], 1)
})

t.test('a purpose that cannot be chosen is refused, with whom to ask', async t => {
  const person = await signIn(service, 'refused')
  for (const [purpose, slug] of [['service_delivery', 'purpose-not-changeable'], ['license_compliance', 'purpose-not-changeable'], ['astrology', 'unknown-purpose'], ['constructor', 'unknown-purpose']]) {
    const answer = await patch(person, { account: { product_analytics: 'granted', [purpose!]: 'denied' } })
    t.match(answer, { status: 422, body: { type: `/problems/${slug!}`, contact: /@/ } }, purpose!)
  }
  t.equal((await read(person)).body['revision'], 0, 'its neighbours were not changed either')
})

t.test('a change of the wrong shape is refused and costs no verification', async t => {
  const person = await signIn(service, 'shapes')
  const headers = { 'if-match': '"0"', 'verification-token': await service.verify(person.token, person.email, 'privacy.update') }
  const bodies: unknown[] = [
    [], 'granted', { product_analytics: 'granted' }, { account: { product_analytics: 'yes' } }, { account: { product_analytics: 'cleared' } }, { account: { product_analytics: null } },
    { account: ['product_analytics'] }, { devices: { 'a/b': { product_analytics: 'granted' } } }, { devices: { pc: 'granted' } }, { account: {}, more: 1 }, { notice_version: '' },
    '{"account":{"product_analytics":"granted","product_analytics":"denied"}}', '{"devices":{"__proto__":{"product_analytics":"granted"}}}', '{'
  ]
  for (const body of bodies) {
    const { status, headers: got } = await service.call('PATCH', '/v1/me/privacy', { token: person.token, body: typeof body === 'string' ? body : JSON.stringify(body), headers })
    t.equal(status, 400, JSON.stringify(body))
    t.equal(got.get('content-type'), 'application/problem+json')
  }
  t.match(await service.call('PATCH', '/v1/me/privacy', { token: person.token, body: { account: { diagnostics: 'granted' } }, headers }), { status: 200, body: { revision: 1 } })
})

t.test('what is chosen already is no change', async t => {
  const person = await signIn(service, 'again', 'product_analytics')
  for (const body of [{ account: { product_analytics: 'granted' } }, { devices: { 'pc-again': { diagnostics: 'cleared' } } }, {}]) {
    t.match(await patch(person, body), { status: 200, body: { revision: 1, entries: [] } })
  }
})

t.test('one call stops everything optional, with nothing but a session', async t => {
  const person = await signIn(service, 'stop', 'product_analytics', 'diagnostics')
  const stop = async () => await service.call('POST', '/v1/me/privacy/stop', { token: person.token })
  const { status, body, headers } = await stop()
  t.equal(status, 200)
  t.same(Object.entries<any>(body['account']).map(([purpose, { state }]) => [purpose, state]), optional.map(purpose => [purpose, 'denied']))
  t.equal(body['revision'], 6)
  t.equal(headers.get('etag'), '"6"')
  t.match(await stop(), { status: 200, body: { revision: 6, entries: [] } })
})

t.test('it stops, whatever is sent along with it', async t => {
  const bodies: Array<[type: string | undefined, body: string | Buffer | undefined]> = [
    ['application/json', undefined], ['application/json', '{'], ['text/plain', ''], ['application/x-www-form-urlencoded', 'a=b'],
    [undefined, Buffer.from([0xff, 0xfe])], ['application/json', 'x'.repeat(200_000)]
  ]
  for (const [index, [type, body]] of bodies.entries()) {
    const person = await signIn(service, `stops-${String(index)}`, 'product_analytics')
    const answer = await fetch(`${service.service.url}/v1/me/privacy/stop`, {
      method: 'POST', headers: { authorization: `Bearer ${person.token}`, ...(type === undefined ? {} : { 'content-type': type }) }, ...(body === undefined ? {} : { body })
    })
    t.match({ status: answer.status, body: await answer.json() }, { status: 200, body: { account: { product_analytics: { state: 'denied' } } } }, `${String(type)} ${String(body?.length)}`)
  }
})

t.test('a denial is in force for whatever starts after its answer', async t => {
  const person = await signIn(service, 'now')
  for (let round = 0; round < 5; round++) {
    await person.choose({ product_analytics: 'granted' })
    t.match((await service.post(person.token)).body, { accepted: 1 })
    const stopping = service.call('POST', '/v1/me/privacy/stop', { token: person.token })
    const meanwhile = Array.from({ length: 5 }, async () => await service.post(person.token))
    t.equal((await stopping).status, 200)
    const after = await Promise.all(Array.from({ length: 10 }, async () => {
      const event = makeEvent()
      return fates(await service.post(person.token, { events: [event] }), [event])[0]
    }))
    t.same(after, after.map(() => 'account_denied'))
    for (const answer of await Promise.all(meanwhile)) t.equal(answer.status, 202)
  }
})

t.test('a token of nobody, of a device, or for something else opens no settings', async t => {
  for (const request of [{}, { device_id: 'pc-1' }]) {
    t.match(await service.call('GET', '/v1/me/privacy', { token: await service.token(request) }), { status: 403, body: { type: '/problems/account-required' } })
  }
  t.match(await service.call('GET', '/v1/me/privacy', { token: await service.token({ sub: 'ada', scope: 'telemetry:write' }) }), { status: 403, body: { type: '/problems/insufficient-scope' } })
  t.match(await service.call('POST', '/v1/me/privacy/stop'), { status: 401, body: { type: '/problems/invalid-token' } })
})
