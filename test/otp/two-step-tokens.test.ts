import t from 'tap'
import { generate } from 'otplib'
import { signIn, type Answer, type Person } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)

const send = async (who: Pick<Person, 'token'>, method: string, path: string, verification: string, body?: unknown, ifMatch?: string): Promise<Answer> =>
  await service.call(method, `/v1/me/${path}`, {
    token: who.token, headers: { 'verification-token': verification, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) }, ...(body === undefined ? {} : { body })
  })
const mismatch = { status: 403, body: { type: '/problems/verification-mismatch' } }
const granted = { account: { product_analytics: 'granted' } }

/** A person with an authenticator, and a way to spend a backup code for a token. */
async function enrolled (name: string): Promise<{ person: Person, tokenFor: (purpose: string, change?: unknown) => Promise<string> }> {
  const person = await signIn(service, name)
  const { body } = await send(person, 'POST', 'two-step/totp', await service.verify(person.token, person.email, 'two_step.enroll'))
  const confirmed = await service.call('POST', `/v1/me/two-step/totp/${String(body['enrollment_id'])}/confirm`, { token: person.token, body: { code: await generate({ secret: body['secret'] as string }) } })
  const codes = confirmed.body['backup_codes'] as string[]
  return {
    person,
    async tokenFor (purpose, change) {
      const challenge = await service.call('POST', '/v1/verification/challenges', { token: person.token, body: { purpose, ...(change === undefined ? {} : { change }) } })
      const verified = await service.call('POST', `/v1/verification/challenges/${String(challenge.body['id'])}/verify`, { token: person.token, body: { method: 'backup_code', code: codes.pop() } })
      return verified.body['verification_token'] as string
    }
  }
}

t.test('a token for one purpose pays for no other', async t => {
  const { person, tokenFor } = await enrolled('purposes')
  const settings = await tokenFor('privacy.update')
  for (const [method, path] of [['POST', 'two-step/totp'], ['POST', 'two-step/backup-codes'], ['DELETE', 'two-step']] as const) {
    t.match(await send(person, method, path, settings), mismatch, `${method} ${path}`)
  }
  t.match(await send(person, 'DELETE', 'two-step', await tokenFor('backup_codes.regenerate')), mismatch)
  t.match(await send(person, 'PATCH', 'privacy', await tokenFor('two_step.disable'), granted, '"0"'), mismatch)
  t.match(await send(person, 'PATCH', 'privacy', await tokenFor('data.export'), granted, '"0"'), mismatch)
  t.equal((await send(person, 'PATCH', 'privacy', settings, granted, '"0"')).status, 200, 'none of which spent it')
})

t.test('a token of one account or session pays in no other', async t => {
  const [ada, bob] = [await enrolled('ada'), await enrolled('bob')]
  const token = await ada.tokenFor('two_step.disable')
  const elsewhere = { token: await service.token({ sub: 'ada', email: ada.person.email, device_id: 'another' }) }
  t.match(await send(bob.person, 'DELETE', 'two-step', token), mismatch, 'account')
  t.match(await send(elsewhere, 'DELETE', 'two-step', token), mismatch, 'session')
  for (const { token } of [ada.person, bob.person]) t.equal((await service.call('GET', '/v1/me/security', { token })).body['two_step'].status, 'on')
  t.equal((await send(ada.person, 'DELETE', 'two-step', token)).status, 204)
})

t.test('a token for a named change pays for that change, however it is written', async t => {
  const { person, tokenFor } = await enrolled('changes')
  const change = { account: { product_analytics: 'granted', diagnostics: 'denied' } }
  const token = await tokenFor('privacy.update', change)
  for (const other of [granted, { account: { ...change.account, diagnostics: 'granted' } }, { ...change, notice_version: '1' }]) {
    t.match(await send(person, 'PATCH', 'privacy', token, other, '"0"'), mismatch, JSON.stringify(other))
  }
  t.equal((await send(person, 'PATCH', 'privacy', token, { account: { diagnostics: 'denied', product_analytics: 'granted' } }, '"0"')).status, 200)
})

t.test('a change that is refused for what it says, or comes too late, spends no token', async t => {
  const { person, tokenFor } = await enrolled('refused')
  const token = await tokenFor('privacy.update')
  t.equal((await send(person, 'PATCH', 'privacy', token, granted, '"7"')).status, 412)
  t.equal((await send(person, 'PATCH', 'privacy', token, granted)).status, 428)
  t.equal((await send(person, 'PATCH', 'privacy', token, { account: 'all' }, '"0"')).status, 400)
  t.equal((await send(person, 'PATCH', 'privacy', token, { account: { licensing: 'denied' } }, '"0"')).status, 422)
  t.equal((await send(person, 'PATCH', 'privacy', token, granted, '"0"')).status, 200)
  t.match(await send(person, 'PATCH', 'privacy', token, granted, '"1"'), { status: 401, body: { type: '/problems/verification-spent' } })
})

t.test('a change of factor makes every earlier token worthless', async t => {
  const { person, tokenFor } = await enrolled('versions')
  const [settings, disable, codes] = [await tokenFor('privacy.update'), await tokenFor('two_step.disable'), await tokenFor('backup_codes.regenerate')]
  t.equal((await send(person, 'POST', 'two-step/backup-codes', codes)).status, 201)
  for (const answer of [await send(person, 'PATCH', 'privacy', settings, granted, '"0"'), await send(person, 'DELETE', 'two-step', disable)]) {
    t.match(answer, { status: 401, body: { type: '/problems/verification-required' } })
    t.match(answer.headers.get('www-authenticate'), /insufficient_user_authentication/)
  }
})

t.test('a token for a named change pays for no call that makes none', async t => {
  const { person, tokenFor } = await enrolled('named')
  for (const [method, path, purpose] of [['POST', 'two-step/totp', 'two_step.replace'], ['POST', 'two-step/backup-codes', 'backup_codes.regenerate'], ['DELETE', 'two-step', 'two_step.disable']] as const) {
    t.match(await send(person, method, path, await tokenFor(purpose, { a: 1 })), mismatch, purpose)
  }
  const unprotected = await signIn(service, 'named-too')
  t.match(await send(unprotected, 'POST', 'two-step/totp', await service.verify(unprotected.token, unprotected.email, 'two_step.enroll', { a: 1 })), mismatch)
  t.match(await send(person, 'POST', 'erasure', await tokenFor('data.erase', { a: 1 })), mismatch)
  t.match(await send(person, 'POST', 'export', await tokenFor('data.export', { a: 1 })), mismatch)
})

t.test('what would pay is told of the account and the purpose', async t => {
  const { person } = await enrolled('classes')
  const other = await signIn(service, 'classes-too')
  const [strong, email] = ['urn:assent:acr:2sv', 'urn:assent:acr:email']
  const classes = async (who: Pick<Person, 'token'>, method: string, path: string, body?: unknown): Promise<unknown> =>
    /acr_values="([^"]*)"/.exec((await send(who, method, path, 'garbage', body, '"0"')).headers.get('www-authenticate') ?? '')?.[1]
  t.equal(await classes(person, 'POST', 'erasure'), strong)
  t.equal(await classes(other, 'POST', 'erasure'), email)
  t.equal(await classes(person, 'PATCH', 'privacy', granted), `${strong} ${email}`)
})
