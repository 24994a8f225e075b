import t from 'tap'
import { fates, heartbeat, makeEvent, type BatchFields } from '../support/api.ts'
import { startTestService } from '../support/service.ts'
import { developmentKey, makeToken, rightClaims } from '../support/tokens.ts'

const service = await startTestService(t)
const key = await developmentKey(service.dataDir)
const names = ['constructor', 'toString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf', '__defineGetter__']
const release = { name: 'cad', release: 2022 }

t.test('a device that is called like something of JavaScript is a device like any other', async t => {
  const team = { token: await service.token({ sub: 'team', scope: 'privacy:read' }), headers: { 'purpose-of-use': 'a test' } }
  for (const name of names) {
    const post = async (token: string): Promise<string[]> => {
      const event = makeEvent()
      return fates(await service.post(token, { product: release, events: [event] }), [event])
    }
    const [ada, bob] = await Promise.all(['ada', 'bob'].map(async person => await service.token({ sub: `${person}-${name}`, email: `${person}@example.com`, device_id: name })))
    t.same(await post(bob!), ['not_granted'], name)
    const account = `ada-${name}`
    const { status } = await service.change(ada!, 'ada@example.com', { devices: { [name]: { product_analytics: 'granted', diagnostics: 'denied' } } })
    t.equal(status, 200, name)
    t.match((await service.call('GET', `/v1/privacy/accounts/${account}`, team)).body['devices'], [
      { device_id: name, choices: { product_analytics: { state: 'granted' }, diagnostics: { state: 'denied' } } }
    ])
    const settings = (await service.call('GET', '/v1/me/privacy', { token: ada! })).body['devices'] as Array<{ device_id: string, choices: object }>
    t.match(settings.find(device => device.device_id === name)?.choices, { product_analytics: { state: 'granted' } })
    t.same(await post(ada!), ['accepted'], name)
    t.same(await post(bob!), ['not_granted'], `${name}: one person's choice is not another's`)
    const check = { purpose: 'product_analytics', product: 'cad', release: 2022, device_id: name, accounts: [account, `bob-${name}`, 'nobody'] }
    const { body } = await service.call('POST', '/v1/privacy/consents/check', { ...team, body: check })
    t.same(body['answers'].map((answer: { allowed: boolean }) => answer.allowed), [true, false, false], name)
  }
  t.same(Object.getOwnPropertyNames(Object.prototype).filter(own => own.includes('analytics')), [])
  t.same(Object.getOwnPropertyNames(Object).filter(own => own.includes('analytics')), [])
})

t.test('no device is called by the one name that a body cannot say', async t => {
  const post = async (token: string, fields: BatchFields) => await service.post(token, { product: release, events: [makeEvent(heartbeat)], ...fields })
  t.match(await service.call('POST', '/dev/token', { body: { scope: 'telemetry:write', device_id: '__proto__' } }), { status: 400, body: { errors: [{ pointer: '/device_id' }] } })
  t.match(await post(await service.token({ sub: 'ada' }), { device_id: '__proto__' }), { status: 400, body: { errors: [{ pointer: '/device_id' }] } })
  const signed = makeToken({ alg: 'EdDSA', kid: key.kid }, rightClaims({ device_id: '__proto__' }), key.privateKey)
  t.equal((await post(signed, {})).status, 401)
  for (const name of ['__proto__x', 'x__proto__', '__PROTO__']) t.equal((await post(await service.token({ device_id: name }), {})).status, 202, name)
})
