import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { signIn, type Person } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient, type TwoStepPerson } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t, { RECOVERY_DELAY: '24h' })
const { call, letters, nextCode, open, pay, protect, prove, status, verify } = makeTwoStepClient(service, pass)

const day = 86_400_000
const disable = async (person: Person, token?: string) => await call(person, 'DELETE', '/v1/me/two-step', token)
const cancel = async (person: Person) => await call(person, 'DELETE', '/v1/me/two-step/pending-disable')
const byEmail = async (person: TwoStepPerson) => await disable(person, await pay(person, 'two_step.disable', { method: 'email' }))

for (const method of ['totp', 'backup_code'] as const) {
  t.test(`with a proof by ${method}, 2-step verification goes off at once, with all that went with it`, async t => {
    const person = await protect(`by-${method}`)
    const other = await pay(person, 'privacy.update', { method: 'totp' })
    const { body: waiting } = await open(person, 'privacy.update')
    const token = await pay(person, 'two_step.disable', method === 'totp' ? { method } : { method, code: person.backupCodes[9]! })
    t.equal((await disable(person, token)).status, 204)
    const { two_step: twoStep, backup_codes: backupCodes } = await status(person)
    t.same(twoStep, { status: 'off', recommended: true })
    t.equal(backupCodes, undefined)
    t.match(await verify(person, waiting['id'], 'totp', await nextCode(person.secret)), { status: 410 }, 'a challenge from before')
    const change = await service.call('PATCH', '/v1/me/privacy', {
      token: person.token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': '"0"', 'verification-token': other }
    })
    t.match(change, { status: 401 }, 'a token from before')
    t.match(await disable(person, token), { status: 404, body: { type: '/problems/two-step-off' } })
    t.match((await open(person, 'privacy.update')).body['methods'], [{ type: 'email', sent: true }])
  })
}

t.test('with an e-mailed code, it goes off when a day has passed', async t => {
  const ada = await protect('ada')
  const before = Date.now()
  const answer = await byEmail(ada)
  t.equal(answer.status, 202)
  const effectiveAt = Date.parse(answer.body['effective_at'])
  t.ok(effectiveAt >= before + day && effectiveAt <= Date.now() + day)
  t.match(await status(ada), { two_step: { status: 'on', disable_at: answer.body['effective_at'] }, backup_codes: { remaining: 10 } })
  pass(day - 60_000)
  t.match((await open(ada, 'data.export')).body['methods'].map(({ type }: { type: string }) => type).sort(), ['backup_code', 'totp'], 'until then everything is as it was')
  t.equal((await prove(ada, 'privacy.update', { method: 'totp' })).status, 200)
  pass(60_000)
  t.same((await status(ada))['two_step'], { status: 'off', recommended: true })
  t.match(await cancel(ada), { status: 404 })
  t.match(await open(ada, 'two_step.disable'), { status: 404, body: { type: '/problems/two-step-off' } })
})

t.test('the end of the day is kept at the first look, whatever looks', async t => {
  const bob = await protect('bob')
  t.equal((await byEmail(bob)).status, 202)
  pass(day)
  t.match(await open(bob, 'two_step.enroll'), { status: 201, body: { methods: [{ type: 'email', sent: true }] } })
})

t.test('what waits can be cancelled, without more than a sign-in', async t => {
  const carol = await protect('carol')
  t.match(await cancel(carol), { status: 404, body: { type: '/problems/not-found' } })
  t.equal((await byEmail(carol)).status, 202)
  t.equal((await cancel(carol)).status, 204)
  t.match(await cancel(carol), { status: 404, body: { type: '/problems/not-found' } })
  pass(2 * day)
  const { two_step: twoStep } = await status(carol)
  t.equal(twoStep.status, 'on')
  t.equal(twoStep.disable_at, undefined)
})

t.test('nobody cancels or turns off for another', async t => {
  const [dave, mallory] = [await protect('dave'), await protect('mallory')]
  const token = await pay(dave, 'two_step.disable', { method: 'totp' })
  t.match(await disable(mallory, token), { status: 403, body: { type: '/problems/verification-mismatch' } })
  t.match(await disable(dave), { status: 401, body: { type: '/problems/verification-required' } })
  t.match(await disable(dave, await pay(dave, 'privacy.update', { method: 'totp' })), { status: 403 })
  t.equal((await byEmail(dave)).status, 202)
  t.equal((await cancel(mallory)).status, 404)
  t.ok((await status(dave))['two_step'].disable_at)
})

t.test('what is off cannot be turned off', async t => {
  const erin = await signIn(service, 'erin')
  for (const answer of [await disable(erin), await disable(erin, 'any'), await call(erin, 'POST', '/v1/me/two-step/backup-codes'), await open(erin, 'two_step.disable')]) {
    t.match(answer, { status: 404, body: { type: '/problems/two-step-off' } })
  }
})

t.test('it goes off at its time though nobody looks, and the letter comes then', async t => {
  const frank = await protect('frank')
  t.equal((await byEmail(frank)).status, 202)
  const isOff = async (): Promise<boolean> => (await letters(frank)).some(({ subject }) => subject === '2-step verification is off')
  pass(day - 60_000)
  await sleep(1200) // For a letter that should not come yet.
  t.notOk(await isOff())
  pass(60_000)
  await eventually('the letter came', isOff)
})

t.test('from its time on, what was opened or proved before is worth nothing', async t => {
  const grace = await protect('grace')
  t.equal((await byEmail(grace)).status, 202)
  pass(day - 60_000)
  const { body: { id } } = await open(grace, 'privacy.update')
  const token = await pay(grace, 'backup_codes.regenerate', { method: 'backup_code', code: grace.backupCodes[0]! })
  const security = keyIn(accountPartition('grace'), 'security', 'grace')
  // The writer is kept from it, so that it is the call itself that finds the time over.
  await service.redis.zrem(keyIn(accountPartition('grace'), 'security-due'), `disable:${String(await service.redis.hget(security, 'disable_at'))}:grace`)
  pass(60_000)
  t.match(await verify(grace, id, 'backup_code', grace.backupCodes[1]!), { status: 410, body: { type: '/problems/challenge-expired' } })
  t.match(await call(grace, 'POST', '/v1/me/two-step/backup-codes', token), { status: 404, body: { type: '/problems/two-step-off' } })
})
