import t from 'tap'
import { passTime, startTestService } from '../support/service.ts'
import { codeOf, makeTwoStepClient, wrongCodeOf } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { call, open, pay, protect, prove, status, verify } = makeTwoStepClient(service, pass)

/** Lets time pass to the middle of a step some steps on, far from where one code follows another. */
const toMidStep = (steps: number): void => { pass(steps * 30_000 + 15_000 - Date.now() % 30_000) }

t.test('a code is right for its step and one either way', async t => {
  const ada = await protect('ada')
  for (const [steps, expected] of [[-2, 422], [2, 422], [-1, 200], [0, 200], [1, 200]] as const) {
    toMidStep(5)
    t.equal((await prove(ada, 'privacy.update', { method: 'totp', code: await codeOf(ada.secret, steps) })).status, expected, `${String(steps)} steps from now`)
  }
})

t.test('a code is taken once, in whatever way it is typed', async t => {
  const bob = await protect('bob')
  toMidStep(5)
  const code = await codeOf(bob.secret)
  const spaced = ` ${code.slice(0, 3)} ${code.slice(3)} `
  t.equal((await prove(bob, 'privacy.update', { method: 'totp', code: spaced })).status, 200)
  for (const typed of [code, spaced, `${code.slice(0, 3)}-${code.slice(3)}`]) {
    t.match(await prove(bob, 'data.export', { method: 'totp', code: typed }), { status: 422, body: { type: '/problems/invalid-code', attempts_remaining: 4 } })
  }
})

t.test('an older code is not taken after a newer one', async t => {
  const carol = await protect('carol')
  toMidStep(5)
  t.equal((await prove(carol, 'privacy.update', { method: 'totp', code: await codeOf(carol.secret, 1) })).status, 200)
  for (const steps of [-1, 0, 1]) t.match(await prove(carol, 'privacy.update', { method: 'totp', code: await codeOf(carol.secret, steps) }), { status: 422 })
  toMidStep(1)
  t.equal((await prove(carol, 'privacy.update', { method: 'totp', code: await codeOf(carol.secret, 1) })).status, 200)
})

t.test('of 20 uses of a code at once, on as many challenges, one succeeds', async t => {
  const dave = await protect('dave')
  const ids = await Promise.all(Array.from({ length: 20 }, async () => (await open(dave, 'privacy.update')).body['id'] as string))
  toMidStep(5)
  const code = await codeOf(dave.secret)
  const statuses = (await Promise.all(ids.map(async id => await verify(dave, id, 'totp', code)))).map(answer => answer.status)
  t.equal(statuses.filter(status => status === 200).length, 1)
  for (const status of statuses) t.ok([200, 422, 429].includes(status))
})

t.test('attempts are counted over all methods, and what is malformed is none', async t => {
  const erin = await protect('erin')
  const { body: { id } } = await open(erin, 'privacy.update')
  for (const [method, code] of [['totp', '12345'], ['totp', '1234567'], ['totp', 'abcdef'], ['backup_code', '123456'], ['backup_code', 'U'.repeat(16)], ['backup_code', '0'.repeat(17)], ['backup_code', '😀'.repeat(8)]]) {
    t.match(await verify(erin, id, method!, code!), { status: 400, body: { type: '/problems/invalid-request' } }, code!)
  }
  t.equal((await call(erin, 'POST', `/v1/verification/challenges/${String(id)}/email`)).status, 202)
  const mailed = await service.mailedCode(erin.email)
  const wrongMail = String((Number(mailed) + 1) % 1_000_000).padStart(6, '0')
  const tries = [['totp', await wrongCodeOf(erin.secret)], ['email', wrongMail], ['backup_code', '0'.repeat(16)], ['backup_code', 'Z'.repeat(16)]]
  for (const [index, [method, code]] of tries.entries()) {
    t.match(await verify(erin, id, method!, code!), { status: 422, body: { type: '/problems/invalid-code', attempts_remaining: 4 - index } })
  }
  t.match(await verify(erin, id, 'email', mailed), { status: 200, body: { acr: 'urn:assent:acr:email', amr: ['mca', 'email'] } })
})

t.test('each method says how much it assures', async t => {
  const frank = await protect('frank')
  t.match((await prove(frank, 'sign_in', { method: 'totp' }).catch(() => undefined)), undefined, 'a person does not ask for a sign-in')
  t.match((await prove(frank, 'privacy.update', { method: 'totp' })).body, { acr: 'urn:assent:acr:2sv', amr: ['otp'], expires_in: 300, purpose: 'privacy.update' })
  t.match((await prove(frank, 'privacy.update', { method: 'backup_code', code: frank.backupCodes[0]! })).body, { acr: 'urn:assent:acr:2sv', amr: ['recovery'] })
  t.match((await prove(frank, 'privacy.update', { method: 'email' })).body, { acr: 'urn:assent:acr:email', amr: ['mca', 'email'] })
})

t.test('without a delay, an e-mailed code turns it off at the next look', async t => {
  const grace = await protect('grace')
  t.match(await call(grace, 'DELETE', '/v1/me/two-step', await pay(grace, 'two_step.disable', { method: 'email' })), { status: 202, body: { effective_at: /Z$/ } })
  t.same((await status(grace))['two_step'], { status: 'off', recommended: true })
})
