import t from 'tap'
import { signIn } from '../support/api.ts'
import { passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t, { PRIVACY_CONTACT: 'privacy@example.com' })
const { call, open, protect, prove, status, verify } = makeTwoStepClient(service, pass)

const off = await signIn(service, 'off')
const on = await protect('on')
const organization = { token: await service.token({ sub: 'managed', email: 'managed@example.com', account_kind: 'organization', org_id: 'acme' }) }

const all = ['backup_code', 'email', 'totp']
const strong = ['backup_code', 'totp']
/** For each purpose, what is accepted: with 2-step verification off, on, and of an organisation's people. */
const accepted: Record<string, [string[] | string, string[] | string, string[] | string]> = {
  'privacy.update': [['email'], all, ['email']],
  'data.export': [['email'], strong, ['email']],
  'data.erase': [['email'], strong, ['email']],
  'two_step.enroll': [['email'], 'two-step-already-on', 'managed-by-organization'],
  'two_step.replace': ['two-step-off', strong, 'managed-by-organization'],
  'two_step.disable': ['two-step-off', all, 'managed-by-organization'],
  'backup_codes.regenerate': ['two-step-off', strong, 'managed-by-organization']
}
const statusOf: Record<string, number> = { 'two-step-already-on': 409, 'two-step-off': 404, 'managed-by-organization': 403 }

for (const [purpose, row] of Object.entries(accepted)) {
  for (const [index, [situation, person]] of ([['2-step verification off', off], ['2-step verification on', on], ['an organisation\'s account', organization]] as const).entries()) {
    t.test(`${purpose} with ${situation} is proved by what is listed for it, and nothing else`, async t => {
      const expected = row[index]!
      const { status, body } = await open(person, purpose)
      if (typeof expected === 'string') {
        t.match({ status, body }, { status: statusOf[expected], body: { type: `/problems/${expected}` } })
        return
      }
      t.equal(status, 201)
      const methods = body['methods'] as Array<{ type: string, sent?: boolean }>
      t.same(methods.map(({ type }) => type).sort(), expected)
      t.equal(methods.find(({ type }) => type === 'email')?.sent, expected.includes('email') ? expected.length === 1 : undefined, 'mail goes out unasked only when there is no other way')
      for (const method of all.filter(method => !expected.includes(method))) {
        const code = method === 'backup_code' ? '0'.repeat(16) : '123456'
        t.match(await verify(person, body['id'], method, code), method === 'email' ? { status: 403, body: { type: '/problems/method-too-weak' } } : { status: 422, body: { type: '/problems/method-not-accepted' } })
      }
      t.equal((await call(person, 'GET', `/v1/verification/challenges/${String(body['id'])}`)).body['attempts_remaining'], 5)
    })
  }
}

t.test('people see how they are protected', async t => {
  t.same(await status(off), {
    two_step: { status: 'off', recommended: true }, email: { hint: 'o***@example.com', verified: (await status(off))['email'].verified }, managed_by_organization: false, contact: 'privacy@example.com'
  })
  const protectedStatus = await status(on)
  t.match(protectedStatus, {
    two_step: { status: 'on', recommended: true, enrolled_at: /Z$/ }, backup_codes: { remaining: 10, low: false, generated_at: /Z$/ }, managed_by_organization: false
  })
  t.notOk('disable_at' in protectedStatus['two_step'] || 'locked_until' in protectedStatus)
  t.match(await status(organization), { two_step: { status: 'off', recommended: false }, managed_by_organization: true })
  t.equal((await status({ token: await service.token({ sub: 'no-mail' }) }))['email'], null)
  t.match(await call({ token: await service.token({ device_id: 'pc' }) }, 'GET', '/v1/me/security'), { status: 403, body: { type: '/problems/account-required' } })
})

t.test('too many wrong codes lock the account for a while, and people see until when', async t => {
  const ada = await protect('ada')
  const { body: { id } } = await open(ada, 'privacy.update')
  for (let attempt = 0; attempt < 5; attempt++) t.equal((await verify(ada, id, 'backup_code', 'Z'.repeat(16))).status, 422)
  const { locked_until: lockedUntil } = await status(ada)
  t.ok(Date.parse(lockedUntil) > Date.now() && Date.parse(lockedUntil) <= Date.now() + 30_000)
  const locked = await prove(ada, 'privacy.update', { method: 'backup_code', code: ada.backupCodes[0]! })
  t.match(locked, { status: 429, body: { type: '/problems/verification-locked' } })
  t.match(locked.headers.get('retry-after'), /^\d+$/)
  pass(30_000)
  t.notOk('locked_until' in await status(ada))
  t.equal((await prove(ada, 'privacy.update', { method: 'backup_code', code: ada.backupCodes[0]! })).status, 200)
})

t.test('with an organisation\'s token no 2-step verification is shown, also where one is on', async t => {
  const person = await protect('joined')
  const token = await service.token({ sub: 'joined', email: person.email, account_kind: 'organization' })
  const shown = await status({ token })
  t.match(shown, { two_step: { status: 'off', recommended: false }, managed_by_organization: true })
  t.notOk('enrolled_at' in shown['two_step'])
  t.notOk('backup_codes' in shown)
  t.match(await status(person), { two_step: { status: 'on' }, backup_codes: { remaining: 10 } })
})
