import t from 'tap'
import { passTime, startTestService } from '../support/service.ts'
import { codeOf, makeTwoStepClient, type Proof, type TwoStepPerson } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { call, confirm, nextCode, open, pay, protect, prove, status, verify } = makeTwoStepClient(service, pass)

const start = async (person: TwoStepPerson, proof: Proof): Promise<{ id: string, secret: string }> => {
  const { status, body } = await call(person, 'POST', '/v1/me/two-step/totp', await pay(person, 'two_step.replace', proof))
  t.equal(status, 201)
  return { id: body['enrollment_id'], secret: body['secret'] }
}

t.test('until the new authenticator is confirmed, the old one is the one', async t => {
  const ada = await protect('ada')
  const { id, secret } = await start(ada, { method: 'totp' })
  t.equal((await prove(ada, 'privacy.update', { method: 'totp' })).status, 200)
  t.match(await prove(ada, 'privacy.update', { method: 'totp', code: await nextCode(secret) }), { status: 422, body: { type: '/problems/invalid-code' } })
  t.match(await status(ada), { two_step: { status: 'on' }, backup_codes: { remaining: 10 } })
  t.equal((await confirm(ada, id, await nextCode(secret))).status, 200)
})

for (const [name, proof] of [['bob', { method: 'totp' }], ['carol', { method: 'backup_code' }]] as const) {
  t.test(`with a proof by ${proof.method}, a new authenticator takes the place of the old one and all that went with it`, async t => {
    const person = await protect(name)
    const { id, secret } = await start(person, proof.method === 'totp' ? proof : { ...proof, code: person.backupCodes[0]! })
    const token = await pay(person, 'privacy.update', { method: 'totp' })
    const { body: waiting } = await open(person, 'privacy.update')

    const { status: ok, body } = await confirm(person, id, await codeOf(secret))
    t.equal(ok, 200)
    t.equal(body['backup_codes'].length, 10)
    t.match(await prove(person, 'privacy.update', { method: 'totp', code: await nextCode(person.secret) }), { status: 422 }, 'the old app')
    t.match(await prove(person, 'privacy.update', { method: 'backup_code', code: person.backupCodes[5]! }), { status: 422 }, 'an old backup code')
    t.match(await verify(person, waiting['id'], 'totp', await nextCode(secret)), { status: 410, body: { type: '/problems/challenge-expired' } }, 'a challenge from before')
    const change = await service.call('PATCH', '/v1/me/privacy', {
      token: person.token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': '"0"', 'verification-token': token }
    })
    t.match(change, { status: 401, body: { type: '/problems/verification-required' } }, 'a token from before')

    t.equal((await prove({ ...person, secret }, 'privacy.update', { method: 'totp' })).status, 200)
    t.equal((await prove(person, 'privacy.update', { method: 'backup_code', code: body['backup_codes'][5] })).status, 200)
  })
}

t.test('an e-mailed code does not replace an authenticator', async t => {
  const dave = await protect('dave')
  const { body } = await open(dave, 'two_step.replace')
  t.same(body['methods'].map(({ type }: { type: string }) => type).sort(), ['backup_code', 'totp'])
  t.match(await call(dave, 'POST', `/v1/verification/challenges/${String(body['id'])}/email`), { status: 403, body: { type: '/problems/method-too-weak' } })
  t.match(await verify(dave, body['id'], 'email', '123456'), { status: 403, body: { type: '/problems/method-too-weak' } })
  const token = await pay(dave, 'two_step.disable', { method: 'email' })
  t.match(await call(dave, 'POST', '/v1/me/two-step/totp', token), { status: 403, body: { type: '/problems/verification-mismatch' } }, 'nor does one for another purpose')
  t.match(await call(dave, 'POST', '/v1/me/two-step/totp'), { status: 401, body: { type: '/problems/verification-required' } })
})

t.test('the code that confirmed an authenticator is used up', async t => {
  const erin = await protect('erin')
  const { id, secret } = await start(erin, { method: 'totp' })
  const code = await codeOf(secret)
  t.equal((await confirm(erin, id, code)).status, 200)
  t.match(await prove(erin, 'privacy.update', { method: 'totp', code }), { status: 422 })
})
