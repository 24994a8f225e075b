import t from 'tap'
import type { Answer } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)

/** A member of an organisation who signed in some seconds ago, or whose issuer does not say when. */
const member = async (sub: string, secondsAgo?: number, kind: 'organization' | 'personal' = 'organization'): Promise<string> => await service.token({
  sub, email: `${sub}@example.com`, account_kind: kind, org_id: 'acme', ...(secondsAgo === undefined ? {} : { auth_time: Math.floor(Date.now() / 1000) - secondsAgo })
})
const change = async (token: string, verification?: string): Promise<Answer> => await service.call('PATCH', '/v1/me/privacy', {
  token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': '"0"', ...(verification === undefined ? {} : { 'verification-token': verification }) }
})

t.test('a sign-in of this moment pays for a change of an organisation\'s member', async t => {
  for (const secondsAgo of [0, 280]) t.match(await change(await member(`fresh-${String(secondsAgo)}`, secondsAgo)), { status: 200, body: { account: { diagnostics: { state: 'granted' } } } })
})

t.test('one of longer ago does not, nor one of the future, nor one of no known time', async t => {
  for (const [name, secondsAgo] of [['older', 301], ['much-older', 86_400], ['future', -120], ['near-future', -35], ['unknown', undefined]] as const) {
    const answer = await change(await member(name, secondsAgo))
    t.match(answer, { status: 401, body: { type: '/problems/verification-required' } }, name)
    t.match(answer.headers.get('www-authenticate'), /^Bearer error="insufficient_user_authentication"/)
  }
})

t.test('an issuer\'s clock may be ahead as far as for the time of issue of its tokens', async t => {
  t.equal((await change(await member('clock-ahead', -25))).status, 200)
})

t.test('it never does for an account of a person\'s own', async t => {
  t.match(await change(await member('personal', 0, 'personal')), { status: 401, body: { type: '/problems/verification-required' } })
})

t.test('a verification token that comes along is held to what it says', async t => {
  t.match(await change(await member('garbled', 0), 'garbage'), { status: 401, body: { type: '/problems/verification-required' } })
  const token = await member('other-purpose', 0)
  t.match(await change(token, await service.verify(token, 'other-purpose@example.com', 'data.export')), { status: 403, body: { type: '/problems/verification-mismatch' } })
})

t.test('an e-mailed code pays when the sign-in was long ago', async t => {
  const token = await member('by-mail', 86_400)
  t.equal((await change(token, await service.verify(token, 'by-mail@example.com', 'privacy.update'))).status, 200)
})

t.test('there is no 2-step verification for a member, however fresh the sign-in', async t => {
  const token = await member('none', 0)
  for (const [method, path, body] of [
    ['POST', '/v1/me/two-step/totp'], ['POST', '/v1/me/two-step/totp/any/confirm', { code: '123456' }], ['DELETE', '/v1/me/two-step'],
    ['DELETE', '/v1/me/two-step/pending-disable'], ['POST', '/v1/me/two-step/backup-codes']
  ] as const) {
    t.match(await service.call(method, path, { token, ...(body === undefined ? {} : { body }) }), { status: 403, body: { type: '/problems/managed-by-organization' } }, `${method} ${path}`)
  }
  const { body } = await service.call('GET', '/v1/me/security', { token })
  t.match(body, { two_step: { status: 'off', recommended: false }, managed_by_organization: true })
})
