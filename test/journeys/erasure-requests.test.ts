import t from 'tap'
import { certificateOf, eraseFor, eraseMe, findErasure, knownKey } from '../support/erasure.ts'
import { fates, heartbeat, makeEvent, signIn, type Answer } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t, knownKey)

const ask = async (token: string, verification?: string, body?: unknown): Promise<Answer> => await service.call('POST', '/v1/me/erasure', {
  token, ...(body === undefined ? {} : { body }), headers: verification === undefined ? {} : { 'verification-token': verification }
})
/** Whether an event from before is refused as erased. */
const isErased = async (token: string): Promise<boolean> => {
  const event = makeEvent({ ...heartbeat, occurred_at: new Date(Date.now() - 60_000).toISOString() })
  return fates(await service.post(token, { events: [event] }), [event])[0] === 'erased'
}

t.test('it takes a verification for this purpose, and what is refused erases nothing', async t => {
  const ada = await signIn(service, 'ada')
  t.match(await ask(ada.token), { status: 401, body: { type: '/problems/verification-required' } })
  t.match(await ask(ada.token, 'garbage'), { status: 401, body: { type: '/problems/verification-required' } })
  t.match(await ask(ada.token, await service.verify(ada.token, ada.email, 'privacy.update')), { status: 403, body: { type: '/problems/verification-mismatch' } })
  t.match(await ask(ada.token, await service.verify(ada.token, ada.email, 'data.export')), { status: 403, body: { type: '/problems/verification-mismatch' } })
  const bob = await signIn(service, 'bob')
  t.match(await ask(ada.token, await service.verify(bob.token, bob.email, 'data.erase')), { status: 403, body: { type: '/problems/verification-mismatch' } })
  t.match(await ask(await service.token({ device_id: 'pc-1', sub: 'device:pc-1' }), 'any'), { status: 403, body: { type: '/problems/account-required' } })
  t.equal(await isErased(ada.token), false)
  const token = await service.verify(ada.token, ada.email, 'data.erase')
  t.match(await ask(ada.token, token, { until: 'now' }), { status: 400, body: { type: '/problems/invalid-request' } })
  t.equal(await isErased(ada.token), false)
  t.equal((await ask(ada.token, token, {})).status, 202, 'and a wrong shape does not spend it')
  t.equal(await isErased(ada.token), true)
  t.match(await ask(ada.token, token), { status: 401, body: { type: '/problems/verification-spent' } })
})

t.test('of 20 requests at once with one verification, one is carried out', async t => {
  const eve = await signIn(service, 'eve')
  const token = await service.verify(eve.token, eve.email, 'data.erase')
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await ask(eve.token, token)))
  t.equal(answers.filter(({ status }) => status === 202).length, 1)
  t.same([...new Set(answers.map(({ status }) => status))].sort(), [202, 401])
  t.equal((await service.redis.keys('assent:*:erasure:*')).length, 2, 'with ada\'s')
})

t.test('a verification dies when the account\'s factors change', async t => {
  const fay = await signIn(service, 'fay')
  const token = await service.verify(fay.token, fay.email, 'data.erase')
  const [beside] = await service.redis.keys('assent:*:challenges-opened:fay')
  await service.redis.hset(beside!.replace('challenges-opened', 'security'), 'version', '1')
  t.match(await ask(fay.token, token), { status: 401, body: { type: '/problems/verification-required' } })
  t.equal(await isErased(fay.token), false)
})

t.test('a sign-in of this moment pays for a member of an organisation, and for no one else', async t => {
  const member = async (secondsAgo: number, kind: 'organization' | 'personal'): Promise<string> =>
    await service.token({ sub: `${kind}-${String(secondsAgo)}`, account_kind: kind, org_id: 'acme', auth_time: Math.floor(Date.now() / 1000) - secondsAgo })
  t.equal((await ask(await member(0, 'organization'))).status, 202)
  t.match(await ask(await member(600, 'organization')), { status: 401 })
  t.match(await ask(await member(0, 'personal')), { status: 401 })
})

t.test('the team needs its scopes, a reason for the call, and a place in the access log', async t => {
  const admin = await service.token({ sub: 'team', scope: 'privacy:admin' })
  const body = { account_id: 'gus', reason: 'a letter' }
  for (const scope of ['settings telemetry:write', 'privacy:read', 'security:admin']) {
    t.match(await eraseFor(service, body, await service.token({ sub: 'gus', scope })), { status: 403, body: { type: '/problems/insufficient-scope' } }, scope)
  }
  t.match(await service.call('POST', '/v1/privacy/erasures', { token: admin, body }), { status: 400 }, 'no reason for the call')
  t.equal(await isErased(await service.token({ sub: 'gus' })), false)
  const { status, body: { id } } = await eraseFor(service, body, admin)
  t.equal(status, 202)
  t.equal(await isErased(await service.token({ sub: 'gus' })), true)
  await certificateOf(service, id)
  t.match(await service.call('GET', `/v1/privacy/erasures/${String(id)}`, { token: await service.token({ sub: 'gus' }), headers: { 'purpose-of-use': 'x' } }), { status: 403 })
  t.match(await ask(admin, 'any'), { status: 403, body: { type: '/problems/insufficient-scope' } }, 'nor is the team a person')
  const log = await service.sql<{ status: number }>("SELECT status FROM access_log WHERE method = 'POST' AND path = '/v1/privacy/erasures' ORDER BY status")
  t.same(log.map(row => row.status), [202, 400, 403, 403, 403])
})

t.test('a wrong shape is told, and erases nothing', async t => {
  const before = (await service.redis.keys('assent:*:erasure:*')).length
  for (const body of [
    {}, { reason: 'r' }, { account_id: 'a' }, { account_id: 'a', device_id: 'd', reason: 'r' }, { account_id: '', reason: 'r' }, { account_id: 'a'.repeat(256), reason: 'r' },
    { account_id: 'a\nb', reason: 'r' }, { device_id: 'no spaces', reason: 'r' }, { device_id: 'd'.repeat(129), reason: 'r' }, { account_id: 'a', reason: '  ' },
    { account_id: 'a', reason: 'r'.repeat(501) }, { account_id: 'a', reason: 7 }, { account_id: 'a', reason: 'r', purpose: 'p' }, { account_id: null, device_id: 'd', reason: 'r' }
  ]) t.match(await eraseFor(service, body), { status: 400, body: { type: '/problems/invalid-request', errors: [{}] } }, JSON.stringify(body).slice(0, 60))
  t.equal((await service.redis.keys('assent:*:erasure:*')).length, before)
})

t.test('an id that is none is 404, whatever it looks like', async t => {
  const { token } = await signIn(service, 'hal')
  const { body: { id } } = await eraseMe(service, await signIn(service, 'ida'))
  for (const wrong of ['x', '0-', 'g-00000000-0000-4000-8000-000000000000', '3-00000000-0000-4000-8000-000000000000', '3-1%27%20OR%201', 'x'.repeat(64), String(id)]) {
    t.match(await service.call('GET', `/v1/me/erasure/${wrong}`, { token }), { status: 404, body: { type: '/problems/not-found' } }, wrong)
    if (wrong !== id) t.match(await findErasure(service, wrong), { status: 404 }, wrong)
  }
})

t.test('a no that is said at the same moment is not lost, and neither is the tombstone', async t => {
  const body = { reason: 'a letter' }
  const admin = await service.token({ sub: 'team', scope: 'privacy:admin' })
  await Promise.all(Array.from({ length: 30 }, async (_, index) => {
    const name = `both-${String(index)}`
    const token = await service.token({ sub: name })
    const [stopped, ...asked] = await Promise.all([
      service.call('POST', '/v1/me/privacy/stop', { token }), ...Array.from({ length: 3 }, async () => await eraseFor(service, { ...body, account_id: name }, admin))
    ])
    t.equal(stopped.status, 200)
    const times = asked.map(answer => answer.body['requested_at'] as string)
    t.equal(new Set(times).size, 3, 'each reaches further than the one before')
    const { body: settings } = await service.call('GET', '/v1/me/privacy', { token })
    t.match(settings['account'], { product_analytics: { state: 'denied' }, diagnostics: { state: 'denied' } }, name)
    t.equal(await isErased(token), true, name)
  }))
})
