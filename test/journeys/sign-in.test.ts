import { decodeJwt } from 'jose'
import t from 'tap'
import { signIn, type Answer } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { developmentKey, makeToken, rightClaims } from '../support/tokens.ts'
import { makeTwoStepClient } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { letters, nextCode, protect, verify } = makeTwoStepClient(service, pass)

const identityService = { token: await service.token({ sub: 'identity', scope: 'verification:delegate', expires_in: 86_400 }) }
const otherService = { token: await service.token({ sub: 'another', scope: 'verification:delegate', expires_in: 86_400 }) }

const call = async ({ token }: { token: string }, method: string, path: string, body?: unknown): Promise<Answer> =>
  await service.call(method, `/v1/verification/challenges${path}`, { token, ...(body === undefined ? {} : { body }) })
const ask = async (who: { token: string }, body: Record<string, unknown>): Promise<Answer> => await call(who, 'POST', '', { purpose: 'sign_in', ...body })

t.test('the second step of a sign-in is an e-mailed code where 2-step verification is off', async t => {
  const ada = await signIn(service, 'ada')
  const { status, body } = await ask(identityService, { account_id: 'ada', email: ada.email })
  t.match({ status, body }, { status: 201, body: { purpose: 'sign_in', methods: [{ type: 'email', hint: 'a***@example.com', sent: true }] } })
  const verified = await verify(identityService, body['id'], 'email', await service.mailedCode(ada.email))
  t.match(verified, { status: 200, body: { purpose: 'sign_in', acr: 'urn:assent:acr:email' } })
  t.match(decodeJwt(verified.body['verification_token']), { sub: 'ada', purpose: 'sign_in', amr: ['mca', 'email'] }, 'the proof names the person, not who asked')
})

t.test('and the app, a backup code or a code on request where it is on', async t => {
  const bob = await protect('bob')
  const { body } = await ask(identityService, { account_id: 'bob', email: bob.email })
  t.same(body['methods'].map(({ type }: { type: string }) => type).sort(), ['backup_code', 'email', 'totp'])
  t.match(await verify(identityService, body['id'], 'totp', await nextCode(bob.secret)), { status: 200, body: { acr: 'urn:assent:acr:2sv', amr: ['otp'] } })

  const { body: second } = await ask(identityService, { account_id: 'bob', email: bob.email })
  t.match(await verify(identityService, second['id'], 'backup_code', bob.backupCodes[0]!), { status: 200, body: { amr: ['recovery'], backup_codes: { remaining: 9 } } })

  const { body: third } = await ask(identityService, { account_id: 'bob', email: bob.email })
  t.equal((await call(identityService, 'POST', `/${String(third['id'])}/email`)).status, 202)
  t.match(await verify(identityService, third['id'], 'email', await service.mailedCode(bob.email)), { status: 200, body: { amr: ['mca', 'email'] } })

  const { body: fourth } = await ask(identityService, { account_id: 'bob' })
  t.same(fourth['methods'].map(({ type }: { type: string }) => type).sort(), ['backup_code', 'totp'], 'without an address there is no code to mail')
})

t.test('only a service that may, asks, and it says for whom', async t => {
  const carol = await signIn(service, 'carol')
  const refused = await ask(carol, { account_id: 'carol', email: carol.email })
  t.match(refused, { status: 403, body: { type: '/problems/insufficient-scope' } })
  t.match(refused.headers.get('www-authenticate'), /scope="verification:delegate"/)
  t.match(await ask(identityService, { email: carol.email }), { status: 400, body: { errors: [{ pointer: '/account_id' }] } })
  t.match(await ask(identityService, { account_id: 'carol' }), { status: 422, body: { type: '/problems/email-unknown' } })
  t.match(await call(identityService, 'POST', '', { purpose: 'privacy.update', account_id: 'carol' }), { status: 403, body: { type: '/problems/insufficient-scope' } }, 'and for nothing but a sign-in')
  t.match(await call(carol, 'POST', '', { purpose: 'privacy.update', account_id: 'dave' }), { status: 400, body: { errors: [{ pointer: '/account_id' }] } }, 'nor does a person for another')
})

t.test('whose identity provider does the second step is not asked here', async t => {
  const organizations = { token: await service.token({ sub: 'identity-of-acme', scope: 'verification:delegate', account_kind: 'organization' }) }
  const account = { account_id: 'gina', email: 'gina@example.com' }
  t.match(await ask(organizations, account), { status: 403, body: { type: '/problems/managed-by-organization' } })
  t.equal((await ask(identityService, account)).status, 201, 'which is said of that service, and not noted of the account')
})

t.test('nor for an account whose own token said that an organisation manages it, wherever that token was last shown', async t => {
  const uses: Record<string, (token: string) => Promise<Answer>> = {
    challenge: async token => await service.call('POST', '/v1/verification/challenges', { token, body: { purpose: 'privacy.update' } }),
    change: async token => await service.call('PATCH', '/v1/me/privacy', { token, body: {}, headers: { 'if-match': '"0"' } }),
    'security page': async token => await service.call('GET', '/v1/me/security', { token })
  }
  for (const [name, use] of Object.entries(uses)) {
    const account = { account_id: `member-${name}`, email: 'member@example.com' }
    const token = async (kind: 'organization' | 'personal'): Promise<string> =>
      await service.token({ sub: account.account_id, email: account.email, account_kind: kind, auth_time: Math.floor(Date.now() / 1000) })
    await use(await token('organization'))
    t.match(await ask(identityService, account), { status: 403, body: { type: '/problems/managed-by-organization' } }, name)
    await use(await token('personal'))
    t.equal((await ask(identityService, account)).status, 201, `${name}: who leaves the organisation signs in again`)
  }
})

t.test('the challenge is there for the service that opened it alone', async t => {
  const erin = await signIn(service, 'erin')
  const { body } = await ask(identityService, { account_id: 'erin', email: erin.email })
  const code = await service.mailedCode(erin.email)
  const [id, path] = [body['id'] as string, `/${String(body['id'])}`]
  for (const [name, who] of Object.entries({ 'another service': otherService, 'the person': erin })) {
    for (const answer of [await call(who, 'GET', path), await verify(who, id, 'email', code), await call(who, 'POST', `${path}/email`), await call(who, 'DELETE', path)]) {
      t.match(answer, { status: 404, body: { type: '/problems/not-found' } }, name)
    }
  }
  t.match(await call(identityService, 'GET', path), { status: 200, body: { attempts_remaining: 5 } })
  t.equal((await verify(identityService, id, 'email', code)).status, 200)

  const { body: own } = await call(erin, 'POST', '', { purpose: 'privacy.update' })
  t.equal((await call(identityService, 'GET', `/${String(own['id'])}`)).status, 404, 'nor can a service see what a person opened')
})

t.test('the proof of a sign-in changes no settings', async t => {
  const frank = await signIn(service, 'frank')
  const { body } = await ask(identityService, { account_id: 'frank', email: frank.email })
  const { body: { verification_token: token } } = await verify(identityService, body['id'], 'email', await service.mailedCode(frank.email))
  const change = await service.call('PATCH', '/v1/me/privacy', { token: frank.token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': '"0"', 'verification-token': token } })
  t.match(change, { status: 403, body: { type: '/problems/verification-mismatch' } })
})

t.test('a lock that was reached at sign-ins is mailed to the address that was named for them', async () => {
  const account = { account_id: 'never-here', email: 'never-here@example.com' }
  const { body } = await ask(identityService, account)
  const code = await service.mailedCode(account.email)
  for (let attempt = 0; attempt < 5; attempt++) await verify(identityService, body['id'], 'email', code === '000000' ? '000001' : '000000')
  await eventually('the letter came', async () => (await letters(account)).some(({ subject }) => subject === 'Too many wrong codes'))
})

t.test('a code is sent to one address only, for an account only', async t => {
  const addresses = ['', '@', 'a@', '@b.example', 'a@b.c, evil@x.example', 'a@b.example\r\nBcc: evil@x.example', 'a@b.example evil@x.example', '"a b"@c.example', 'Ada <a@b.example>', 'a@b@c.example', `${'a'.repeat(320)}@b.example`, '\ud83d@ex.example']
  for (const email of addresses) t.match(await ask(identityService, { account_id: 'hugo', email }), { status: 400, body: { errors: [{ pointer: '/email' }] } }, JSON.stringify(email).slice(0, 60))
  for (const account of ['', 'a\nb', 'a\u0000', '\ud800', 'anonymous', 'device:pc-1']) {
    t.match(await ask(identityService, { account_id: account, email: 'hugo@example.com' }), { status: 400, body: { type: /invalid-(request|json)/ } }, JSON.stringify(account))
  }
  for (const email of ["o'neill+x@mail.example.com", 'jörg@bücher.example']) t.equal((await ask(identityService, { account_id: `fine-${email.length}`, email })).status, 201, email)
})

t.test('an address in an access token that no letter can go to is as good as none', async t => {
  const key = await developmentKey(service.dataDir)
  for (const [index, email] of ['@', 'a@b.example, evil@x.example', '\ud83d@ex.example', 'a'.repeat(400), 7].entries()) {
    const token = makeToken({ alg: 'EdDSA', kid: key.kid }, rightClaims({ sub: `odd-${String(index)}`, email }), key.privateKey)
    t.match(await service.call('GET', '/v1/me/security', { token }), { status: 200, body: { email: null } })
    t.match(await call({ token }, 'POST', '', { purpose: 'privacy.update' }), { status: 422, body: { type: '/problems/email-unknown' } })
  }
})
