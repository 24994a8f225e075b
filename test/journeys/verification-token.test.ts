import { createLocalJWKSet, decodeJwt, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT, type JWK } from 'jose'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { signIn, type Answer, type Person } from '../support/api.ts'
import { startTestService } from '../support/service.ts'
import { developmentKey, makeToken, rightClaims } from '../support/tokens.ts'

const service = await startTestService(t)

const change = async (person: Pick<Person, 'token'>, verification: string | undefined, body: unknown = { account: { product_analytics: 'granted' } }, ifMatch = '"0"'): Promise<Answer> =>
  await service.call('PATCH', '/v1/me/privacy', {
    token: person.token, body, headers: { 'if-match': ifMatch, ...(verification === undefined ? {} : { 'verification-token': verification }) }
  })
const verify = async (person: Person, purpose = 'privacy.update', named?: unknown): Promise<string> => await service.verify(person.token, person.email, purpose, named)
const revision = async (person: Person): Promise<number> => (await service.call('GET', '/v1/me/privacy', { token: person.token })).body['revision']

t.test('a change without a token that this service made is refused, and told what would do', async t => {
  const ada = await signIn(service, 'ada')
  const good = await verify(ada)
  const { payload, protectedHeader } = await jwtVerify(good, createLocalJWKSet((await service.call<{ keys: JWK[] }>('GET', '/.well-known/jwks.json')).body))
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const forge = async (key: Parameters<SignJWT['sign']>[0], header = {}, claims = {}): Promise<string> => await new SignJWT({ ...payload, ...claims }).setProtectedHeader({ ...protectedHeader, alg: 'EdDSA', ...header }).sign(key)
  const stored = JSON.parse(await readFile(join(service.dataDir, 'keys', 'development.json'), 'utf8')) as { verification_keys: JWK[] }
  const ownKey = await importJWK(stored.verification_keys[0]!, 'EdDSA')
  const none = `${Buffer.from('{"alg":"none","typ":"verification+jwt"}').toString('base64url')}.${good.split('.')[1]!}.`

  const refused = {
    none: undefined,
    garbage: 'garbage',
    'an access token': ada.token,
    'signed by another key': await forge(privateKey),
    'with its own key in the header': await forge(privateKey, { jwk: await exportJWK(privateKey).then(({ d: _, ...key }) => key) }),
    unsigned: none,
    'with another payload': [good.split('.')[0], Buffer.from(JSON.stringify({ ...payload, exp: 9e9 })).toString('base64url'), good.split('.')[2]].join('.'),
    expired: await forge(ownKey, {}, { exp: Math.floor(Date.now() / 1000) - 1 }),
    'of another type': await forge(ownKey, { typ: 'JWT' }),
    'of another issuer': await forge(ownKey, {}, { iss: 'urn:other' })
  }
  for (const [name, token] of Object.entries(refused)) {
    const { status, body, headers } = await change(ada, token)
    t.match({ status, body }, { status: 401, body: { type: '/problems/verification-required' } }, name)
    t.match(headers.get('www-authenticate'), /^Bearer error="insufficient_user_authentication", acr_values="[^"]*urn:assent:acr:email[^"]*", max_age="300"$/)
  }
  t.equal(await revision(ada), 0)
  t.equal((await change(ada, await forge(ownKey))).status, 200, 'the forger is good enough to be believed with the right key')
})

t.test('a token says who proved what, how and when, under a published key', async t => {
  const bob = await signIn(service, 'bob')
  const now = Math.floor(Date.now() / 1000)
  const keys = (await service.call<{ keys: JWK[] }>('GET', '/.well-known/jwks.json')).body
  t.notOk(keys.keys.some(key => 'd' in key), 'only the public half')
  const { payload, protectedHeader } = await jwtVerify(await verify(bob), createLocalJWKSet(keys))
  t.match(protectedHeader, { alg: 'EdDSA', typ: 'verification+jwt', kid: String })
  t.match(payload, { sub: 'bob', sid: String, jti: String, purpose: 'privacy.update', acr: 'urn:assent:acr:email', amr: ['mca', 'email'], security_version: 0 })
  t.ok((payload['auth_time'] as number) >= now)
  t.equal(payload.exp, (payload['auth_time'] as number) + 300)
})

t.test('a token pays for its own account, session and purpose only', async t => {
  const [carol, dave] = [await signIn(service, 'carol'), await signIn(service, 'dave')]
  const token = await verify(carol)
  const { sid } = decodeJwt(carol.token)
  const key = await developmentKey(service.dataDir)
  const sameSession = { token: makeToken({ alg: 'EdDSA', kid: key.kid }, rightClaims({ sub: 'dave', sid }), key.privateKey) }
  const sameAccount = { token: await service.token({ sub: 'carol', email: carol.email }) }
  for (const [name, answer] of Object.entries({
    account: await change(dave, token), 'account of the same session': await change(sameSession, token), session: await change(sameAccount, token), purpose: await change(carol, await verify(carol, 'data.export'))
  })) t.match(answer, { status: 403, body: { type: '/problems/verification-mismatch' } }, name)
  t.same([await revision(carol), await revision(dave)], [0, 0])
  t.equal((await change(carol, token)).status, 200, 'a refusal does not spend it')
})

t.test('a token for a named change pays for that change only, however it is spelled', async t => {
  const erin = await signIn(service, 'erin')
  const named = { account: { product_analytics: 'granted', diagnostics: 'denied' }, notice_version: '2026-05' }
  const token = await verify(erin, 'privacy.update', named)
  for (const other of [{ account: { product_analytics: 'granted' } }, { ...named, account: { ...named.account, diagnostics: 'granted' } }, { ...named, notice_version: '2026-06' }, {}]) {
    t.match(await change(erin, token, other), { status: 403, body: { type: '/problems/verification-mismatch' } })
  }
  t.equal((await change(erin, token, '{"notice_version":"2026-05","account":{"diagnostics":"denied","product_analytics":"granted"}}')).status, 200)
})

t.test('what fails does not spend a token, what succeeds does', async t => {
  const frank = await signIn(service, 'frank')
  const token = await verify(frank)
  t.equal((await change(frank, token, undefined, '"7"')).status, 412)
  t.equal((await change(frank, token, { account: { product_analytics: 'maybe' } })).status, 400)
  t.equal((await change(frank, token, { account: { license_compliance: 'denied' } })).status, 422)
  t.equal((await change(frank, token, { devices: { theirs: {} } })).status, 404)
  t.equal((await change(frank, token)).status, 200)
  const again = await change(frank, token, { account: { product_analytics: 'denied' } }, '"1"')
  t.match(again, { status: 401, body: { type: '/problems/verification-spent' } })
  t.match(again.headers.get('www-authenticate'), /insufficient_user_authentication/)
  await service.restart()
  t.equal((await change(frank, token, { account: { product_analytics: 'denied' } }, '"1"')).status, 401, 'nor after a restart')
  t.equal(await revision(frank), 1)
})

t.test('of 20 changes at once with one token, one is made', async t => {
  const grace = await signIn(service, 'grace')
  const token = await verify(grace)
  const answers = await Promise.all(Array.from({ length: 20 }, async (_, index) => await change(grace, token, { account: { [index % 2 === 0 ? 'product_analytics' : 'diagnostics']: 'granted' } })))
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  for (const { status } of answers) t.ok([200, 401, 412].includes(status))
  t.equal(await revision(grace), 1)

})

t.test('a change of nothing needs a good token and leaves it unspent', async t => {
  const ivan = await signIn(service, 'ivan')
  const granted = { account: { product_analytics: 'granted' } }
  const token = await verify(ivan)
  for (const body of [{}, { account: {} }]) t.match(await change(ivan, token, body), { status: 200, body: { revision: 0, entries: [] } })
  t.match(await change(ivan, undefined, {}), { status: 401, body: { type: '/problems/verification-required' } })
  t.equal((await change(ivan, token, granted)).status, 200, 'it pays for a change still')

  t.match(await change(ivan, token, granted, '"1"'), { status: 401, body: { type: '/problems/verification-spent' } }, 'and is refused once it is spent, even for nothing')
  const next = await verify(ivan)
  t.match(await change(ivan, next, granted, '"1"'), { status: 200, body: { revision: 1, entries: [] } })
  t.equal((await change(ivan, next, { account: { product_analytics: 'denied' } }, '"1"')).status, 200)
  t.equal(await revision(ivan), 2)
})

t.test('a token dies when the account\'s factors change', async t => {
  const henry = await signIn(service, 'henry')
  const token = await verify(henry)
  const [beside] = await service.redis.keys('assent:*:challenges-opened:henry')
  await service.redis.hset(beside!.replace('challenges-opened', 'security'), 'version', '1') // As a new authenticator will do.
  t.match(await change(henry, token), { status: 401, body: { type: '/problems/verification-required' } })
  t.equal(await revision(henry), 0)
})
