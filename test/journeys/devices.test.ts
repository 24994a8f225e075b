import t from 'tap'
import { fates, makeEvent, signIn } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)
const old = { name: 'cad', release: 2022 } // Governed by the device.

async function fate (token: string, product = old, deviceId?: string): Promise<string | undefined> {
  const event = makeEvent()
  return fates(await service.post(token, { product, events: [event], ...(deviceId === undefined ? {} : { device_id: deviceId }) }), [event])[0]
}

const settings = async (token: string) => await service.call('GET', '/v1/me/privacy', { token })
const choose = async (token: string, deviceId: string, body: unknown) => await service.call('PUT', `/v1/devices/${deviceId}/privacy`, { token, body })

t.test('a person sees the devices they use, with what runs there', async t => {
  const { token } = await signIn(service, 'ada')
  const before = Date.now()
  await service.post(token, { product: { name: 'cad', release: 2025 } })
  await service.post(token, { product: { name: 'viewer', release: 2026 } })
  const { body } = await settings(token)
  t.match(body['devices'], [{ device_id: 'pc-ada', products: ['cad 2025', 'viewer 2026'], choices: { product_analytics: { state: 'absent', since: null } } }])
  t.equal(body['devices'].length, 1)
  t.ok(Date.parse(body['devices'][0].last_seen_at) >= before)
})

t.test('a device of one\'s own can be told yes, no and nothing', async t => {
  const { token, email } = await signIn(service, 'bob')
  for (const [decision, state, expected] of [['granted', 'granted', 'accepted'], ['denied', 'denied', 'device_denied'], ['cleared', 'absent', 'not_granted']]) {
    const { status, body } = await service.change(token, email, { devices: { 'pc-bob': { product_analytics: decision } } })
    t.equal(status, 200)
    t.match(body['devices'], [{ device_id: 'pc-bob', choices: { product_analytics: { state } } }])
    t.equal(await fate(token), expected, decision!)
  }
})

t.test('a device of somebody else is not found', async t => {
  const eve = await signIn(service, 'eve')
  const victim = await signIn(service, 'victim')
  await service.post(victim.token)
  for (const deviceId of ['pc-victim', 'never-seen', 'constructor']) {
    const answer = await service.change(eve.token, eve.email, { account: { product_analytics: 'denied' }, devices: { [deviceId]: { product_analytics: 'denied' } } })
    t.match(answer, { status: 404, body: { type: '/problems/not-found' } }, deviceId)
  }
  t.equal((await settings(eve.token)).body['revision'], 0)
})

t.test('a signed-out device chooses for itself', async t => {
  const token = await service.token({ device_id: 'kiosk' })
  t.equal(await fate(token), 'not_granted')
  const { status, body } = await choose(token, 'kiosk', { product_analytics: 'granted', diagnostics: 'denied' })
  t.equal(status, 200)
  t.match(body, { device_id: 'kiosk', revision: 2, choices: { product_analytics: { state: 'granted' }, diagnostics: { state: 'denied' }, personalization: { state: 'absent' } } })
  t.equal(body['entries'].length, 2)
  t.equal(await fate(token), 'accepted')
  t.match(await choose(token, 'kiosk', { product_analytics: 'granted' }), { status: 200, body: { revision: 2, entries: [] } })
  t.match(await choose(token, 'kiosk', { product_analytics: 'denied' }), { status: 200, body: { revision: 3 } })
  t.equal(await fate(token), 'device_denied')
})

t.test('only the device itself chooses, and only while nobody is signed in', async t => {
  const own = await service.token({ device_id: 'tablet' })
  const tokens = [own, await service.token({ sub: 'ada', device_id: 'tablet-2' }), await service.token({ sub: 'ada' }), await service.token({})]
  for (const token of tokens) t.match(await choose(token, 'tablet-2', { product_analytics: 'granted' }), { status: 404 })
  t.match(await choose(await service.token({ device_id: 'tablet', scope: 'telemetry:write' }), 'tablet', { product_analytics: 'granted' }), { status: 403 })
  t.match(await choose(own, 'tablet', { license_compliance: 'denied' }), { status: 422, body: { type: '/problems/purpose-not-changeable', contact: /@/ } })
  t.match(await choose(own, 'tablet', { astrology: 'denied' }), { status: 422 })
  for (const body of [{}, { product_analytics: 'cleared' }, [], { product_analytics: true }]) t.match(await choose(own, 'tablet', body), { status: 400 })
  t.equal(await fate(await service.token({ device_id: 'tablet-2' })), 'not_granted')
})

t.test('a no of the device alone stops everyone who signs in there, a yes opts in nobody', async t => {
  const shared = 'shared-pc'
  const alone = await service.token({ device_id: shared })
  const { token, email } = await signIn(service, 'carol')
  await service.change(token, email, { account: { product_analytics: 'granted' }, devices: { 'pc-carol': { product_analytics: 'granted' } } })
  const carol = await service.token({ sub: 'carol' })
  const dave = await service.token({ sub: 'dave' })
  const onShared = async () => [await fate(carol, { name: 'cad', release: 2026 }, shared), await fate(carol, old, shared), await fate(dave, old, shared)]

  t.same(await onShared(), ['accepted', 'not_granted', 'not_granted'], 'nobody has said anything there')
  await choose(alone, shared, { product_analytics: 'granted' })
  t.same(await onShared(), ['accepted', 'not_granted', 'not_granted'], 'the yes is for signed-out use')
  await choose(alone, shared, { product_analytics: 'denied' })
  t.same(await onShared(), ['device_denied', 'device_denied', 'device_denied'])
  t.equal(await fate(carol, old, 'pc-carol'), 'accepted', 'elsewhere nothing has changed')
})

t.test('a device id that is also a word of the language is an id like any other', async t => {
  for (const deviceId of ['constructor', 'hasOwnProperty']) {
    const token = await service.token({ device_id: deviceId })
    t.equal(await fate(token), 'not_granted')
    t.match(await choose(token, deviceId, { product_analytics: 'granted' }), { status: 200, body: { revision: 1 } })
    t.equal(await fate(token), 'accepted', deviceId)
    const person = await service.token({ sub: 'words' })
    t.equal(await fate(person, old, deviceId), 'not_granted')
    t.match(await choose(token, deviceId, { product_analytics: 'denied' }), { status: 200 })
    t.equal(await fate(person, old, deviceId), 'device_denied', deviceId)
  }
  const seen = (await settings(await service.token({ sub: 'words' }))).body['devices']
  t.same(seen.map((device: { device_id: string }) => device.device_id).sort(), ['constructor', 'hasOwnProperty'])
})
