import t from 'tap'
import type { Answer } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { call, letters, open, pay, protect, prove, status, verify } = makeTwoStepClient(service, pass)

const admin = await service.token({ sub: 'support', scope: 'security:admin', expires_in: 86_400 })
const act = async (account: string, action: string, body: unknown = { reason: 'lost the phone' }, token = admin): Promise<Answer> =>
  await service.call('POST', `/v1/admin/accounts/${account}/${action}`, { token, body })
const newestEvent = async (person: { token: string }): Promise<Record<string, unknown> | undefined> =>
  (await service.call<{ events: Array<Record<string, unknown>> }>('GET', '/v1/me/security/events', { token: person.token })).body.events[0]

t.test('an admin turns 2-step verification off for a person, who is told', async t => {
  const ada = await protect('ada')
  const token = await pay(ada, 'two_step.replace', { method: 'totp' })
  const change = await pay(ada, 'privacy.update', { method: 'totp' })
  const { body: { id } } = await open(ada, 'privacy.update')
  t.equal((await act('ada', 'two-step/reset')).status, 204)
  t.same((await status(ada))['two_step'], { status: 'off', recommended: true })
  t.match(await verify(ada, id, 'backup_code', ada.backupCodes[0]!), { status: 410 }, 'a challenge from before')
  const codes = async (): Promise<number> => (await letters(ada)).filter(({ subject }) => subject === 'Your verification code').length
  const before = await codes()
  for (const [method, path] of [['GET', ''], ['POST', '/email']] as const) {
    t.match(await call(ada, method, `/v1/verification/challenges/${String(id)}${path}`), { status: 410, body: { type: '/problems/challenge-expired' } }, `${method} ${path}`)
  }
  t.equal((await call(ada, 'POST', '/v1/me/two-step/totp', token)).status, 403, 'a token from before')
  const patched = await service.call('PATCH', '/v1/me/privacy', { token: ada.token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': '"0"', 'verification-token': change } })
  t.match(patched, { status: 401, body: { type: '/problems/verification-required' } }, 'another')
  await eventually('it is logged', async () => (await newestEvent(ada))?.['kind'] === 'two_step_reset')
  t.match(await newestEvent(ada), { actor: 'admin', reason: 'lost the phone' })
  await eventually('a letter came', async () => (await letters(ada)).some(({ subject }) => subject === '2-step verification was reset'))
  t.equal(await codes(), before, 'and no code for a challenge that cannot be met')
  t.match(await act('ada', 'two-step/reset'), { status: 404, body: { type: '/problems/two-step-off' } })
})

for (const action of ['unlock', 'two-step/unlock']) {
  t.test(`an admin lifts a lock for a person, who is told (${action})`, async t => {
    const person = await protect(`locked-${action.replace('/', '-')}`)
    const { body: { id } } = await open(person, 'privacy.update')
    for (let attempt = 0; attempt < 5; attempt++) await verify(person, id, 'backup_code', 'Z'.repeat(16))
    t.ok((await status(person))['locked_until'])
    t.match(await prove(person, 'privacy.update', { method: 'backup_code', code: person.backupCodes[0]! }), { status: 429 })
    t.equal((await act(person.email.split('@')[0]!, action)).status, 204)
    t.equal((await status(person))['locked_until'], undefined)
    t.equal((await prove(person, 'privacy.update', { method: 'totp' })).status, 200, 'what protects the account stays')
    await eventually('it is logged', async () => (await newestEvent(person))?.['kind'] === 'account_unlocked')
    t.match(await newestEvent(person), { actor: 'admin', reason: 'lost the phone' })
    await eventually('a letter came', async () => (await letters(person)).some(({ subject }) => subject === 'Your account is unlocked'))
  })
}

t.test('it takes the scope and a reason', async t => {
  const bob = await protect('bob')
  const others = [bob.token, await service.token({ sub: 'privacy', scope: 'privacy:admin' }), await service.token({ sub: 'identity', scope: 'verification:delegate' })]
  for (const action of ['two-step/reset', 'unlock', 'two-step/unlock']) {
    for (const token of others) t.match(await act('bob', action, undefined, token), { status: 403, body: { type: '/problems/insufficient-scope' } })
    for (const body of [{}, { reason: '' }, { reason: '   ' }, { reason: 7 }, { reason: 'x'.repeat(501) }, { reason: 'lost the phone', more: 1 }, []]) {
      t.match(await act('bob', action, body), { status: 400, body: { type: '/problems/invalid-request' } }, `${action} ${JSON.stringify(body).slice(0, 40)}`)
    }
  }
  t.equal((await status(bob))['two_step'].status, 'on')
})
