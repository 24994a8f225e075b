import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { issueToken, makeKey, startIssuer } from '../support/issuer.ts'
import { isProblem } from '../support/problems.ts'
import { passTime, startTestService } from '../support/service.ts'
import { publicJwk } from '../support/tokens.ts'

const pass = passTime(t)
const rsa = makeKey('RS256', 'rsa-1')
const ed = makeKey('EdDSA', 'ed-1')
const ec = makeKey('ES256', 'ec-1')
const published = await startIssuer(t, ec)
const files = t.testdir({ 'desktop.jwks': JSON.stringify({ keys: [publicJwk(rsa), publicJwk(ed)] }) })
const desktop = 'https://desktop.example'
const web = 'https://web.example'
await writeFile(join(files, 'issuers.json'), JSON.stringify({
  issuers: [
    { issuer: desktop, audience: 'assent', algorithms: ['RS256', 'EdDSA'], jwks_file: 'desktop.jwks', namespace: 'desktop' },
    { issuer: web, audience: 'settings-site', algorithms: ['ES256'], jwks_uri: published.jwksUri, namespace: 'web', account_kind: 'organization', scopes: ['settings', 'verification:delegate', 'telemetry:write'] }
  ]
}))
const service = await startTestService(t, { ISSUERS_FILE: join(files, 'issuers.json') })

const path = '/v1/consent'
const ask = async (token: string) => await service.call('GET', `${path}?product=cad&release=2026`, { token })
const ofWeb = (key = ec, claims: Record<string, unknown> = {}): string => issueToken('ES256', key, web, { aud: 'settings-site', ...claims })
const isRefused = async (t: Test, token: string, about: string): Promise<void> => { isProblem(t, await ask(token), 401, 'invalid-token', path, about) }
/** Longer than keys are kept from being fetched anew. */
const cooldownMs = 31_000

t.test('while an issuer cannot be asked for its keys its callers are told to come back, and the others are served', async t => {
  for (const [status, body] of [[500, 'broken'], [200, '<html>'], [200, '{"keys":1}'], [301, '']] as const) {
    published.answer(status, body)
    isProblem(t, await ask(ofWeb()), 503, 'unavailable', path, body)
    t.equal((await ask(issueToken('RS256', rsa, desktop))).status, 200)
  }
  published.publish(ec)
  t.equal((await ask(ofWeb())).status, 200)
})

t.test('keys are not looked for where an issuer sends on to', async t => {
  const elsewhere = await startIssuer(t, ec)
  published.answer(302, '', { location: elsewhere.jwksUri })
  pass(cooldownMs)
  isProblem(t, await ask(ofWeb({ ...ec, kid: 'ec-0' })), 503, 'unavailable', path)
  t.equal(elsewhere.fetches(), 0)
  published.publish(ec)
  t.equal((await ask(ofWeb())).status, 200)
})

t.test('an issuer gives only the scopes that it may give', async t => {
  const scope = 'privacy:read privacy:admin security:admin settings'
  const team = async (token: string) => await service.call('GET', '/v1/privacy/accounts/desktop:ada', { token, headers: { 'purpose-of-use': 'a test' } })
  t.equal((await team(issueToken('RS256', rsa, desktop, { scope }))).status, 200, 'one that is not bounded')
  isProblem(t, await team(ofWeb(ec, { scope })), 403, 'insufficient-scope', '/v1/privacy/accounts/desktop:ada')
  const reset = await service.call('POST', '/v1/admin/accounts/desktop:ada/unlock', { token: ofWeb(ec, { scope }), body: { reason: 'because' } })
  isProblem(t, reset, 403, 'insufficient-scope', '/v1/admin/accounts/desktop:ada/unlock')
  t.equal((await service.call('GET', '/v1/me/privacy', { token: ofWeb(ec, { scope }) })).status, 200, 'what it may give counts')
})

t.test('each issuer signs with its own keys, its own algorithms and for its own audience', async t => {
  for (const token of [issueToken('RS256', rsa, desktop), issueToken('EdDSA', ed, desktop), ofWeb()]) t.equal((await ask(token)).status, 200)
  await isRefused(t, issueToken('PS256', rsa, desktop), 'an algorithm that the issuer does not use, under its key')
  await isRefused(t, issueToken('RS256', rsa, web, { aud: 'settings-site' }), 'a key of another issuer')
  await isRefused(t, issueToken('EdDSA', { ...ed, kid: 'rsa-1' }, desktop), 'a key under the id of another')
  await isRefused(t, issueToken('RS256', rsa, desktop, { aud: 'settings-site' }), 'the audience of another issuer')
  await isRefused(t, issueToken('RS256', rsa, 'https://desktop.example/'), 'an issuer spelled in another way')
})

t.test('the same subject at two issuers is two accounts', async t => {
  const claims = { sub: 'ada', device_id: 'pc-1', aud: ['assent', 'settings-site'] }
  const [atDesktop, atWeb] = [issueToken('RS256', rsa, desktop, claims), ofWeb(ec, claims)]
  t.match(await service.call('POST', '/v1/me/privacy/stop', { token: atDesktop }), { status: 200 })
  const { body: { entries } } = await service.call('GET', '/v1/me/privacy/history', { token: atDesktop })
  t.match(entries, [{ account_id: 'desktop:ada', decision: 'denied' }])
  t.match((await service.call('GET', '/v1/me/privacy/history', { token: atWeb })).body, { entries: [] })
  t.match((await service.call('GET', '/v1/me/privacy', { token: atWeb })).body, { revision: 0 })
})

t.test('the kind of an issuer\'s accounts is the issuer\'s, unless its token says otherwise', async t => {
  const enroll = async (token: string) => await service.call('POST', '/v1/verification/challenges', { token, body: { purpose: 'two_step.enroll' } })
  const email = 'ada@example.com'
  isProblem(t, await enroll(ofWeb(ec, { email })), 403, 'managed-by-organization', '/v1/verification/challenges')
  t.equal((await enroll(ofWeb(ec, { email, account_kind: 'personal' }))).status, 201)
  t.equal((await enroll(issueToken('RS256', rsa, desktop, { email }))).status, 201)
})

t.test('an account that carries the namespace of an organisation\'s issuer is signed in by that organisation alone', async t => {
  const ask = async (token: string, account: string) => await service.call('POST', '/v1/verification/challenges', { token, body: { purpose: 'sign_in', account_id: account, email: 'ada@example.com' } })
  const scope = 'verification:delegate'
  const [ofPeople, ofOrganization] = [issueToken('RS256', rsa, desktop, { sub: 'identity', scope }), ofWeb(ec, { sub: 'identity', scope })]
  for (const [token, account] of [[ofPeople, 'web:olga'], [ofOrganization, 'web:olga'], [ofOrganization, 'desktop:olga']] as const) {
    isProblem(t, await ask(token, account), 403, 'managed-by-organization', '/v1/verification/challenges', account)
  }
  for (const account of ['desktop:olga', 'desktop:web:olga']) t.equal((await ask(ofPeople, account)).status, 201, account)
})

t.test('a new key is accepted beside the old, and a removed key is refused', async t => {
  const next = makeKey('ES256', 'ec-2')
  published.publish(ec, next)
  pass(cooldownMs)
  t.equal((await ask(ofWeb(next))).status, 200)
  const old = ofWeb()
  t.equal((await ask(old)).status, 200)

  published.publish(next)
  pass(cooldownMs)
  await isRefused(t, ofWeb(makeKey('ES256', 'unknown')), 'an unknown key')
  await isRefused(t, old, 'a token that was accepted before its key was removed')
  await isRefused(t, ofWeb(), 'a new token of the removed key')
  t.equal((await ask(ofWeb(next))).status, 200)
})

t.test('tokens under unknown keys do not make the service ask the issuer again and again', async t => {
  pass(cooldownMs)
  const before = published.fetches()
  const tokens = Array.from({ length: 100 }, (_, index) => ofWeb({ ...ec, kid: `unknown-${String(index)}` }))
  const answers = await Promise.all(tokens.map(ask))
  t.ok(answers.every(({ status }) => status === 401))
  for (const token of tokens.slice(0, 10)) await isRefused(t, token, 'an unknown key')
  t.equal(published.fetches() - before, 1)
})
