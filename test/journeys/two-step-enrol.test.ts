import t from 'tap'
import { accountPartition } from '../../src/redis/keys.ts'
import { signIn, type Person } from '../support/api.ts'
import { passTime, startTestService } from '../support/service.ts'
import { developmentKey, makeToken, rightClaims } from '../support/tokens.ts'
import { codeOf, makeTwoStepClient, wrongCodeOf } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { call, confirm, enrol, open, pay, status } = makeTwoStepClient(service, pass)

const path = '/v1/me/two-step/totp'

/** An authenticator that waits for its first code. */
async function pending (person: Person): Promise<{ id: string, secret: string }> {
  const { body: { enrollment_id: id, secret } } = await enrol(person)
  return { id, secret }
}

t.test('a new authenticator is shown in every form that an app can read', async t => {
  const ada = await signIn(service, 'ada')
  const before = Date.now()
  const answer = await enrol(ada)
  t.equal(answer.status, 201)
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.same(Object.keys(answer.body).sort(), ['enrollment_id', 'expires_at', 'otpauth_uri', 'qr_svg', 'secret'])
  const { secret, otpauth_uri: uri, qr_svg: svg, expires_at: expiresAt } = answer.body
  t.match(secret, /^[A-Z2-7]{32}$/, '20 bytes in base32 without padding')
  const parsed = new URL(uri)
  t.equal(`${parsed.protocol}//${parsed.host}`, 'otpauth://totp')
  t.match(decodeURIComponent(parsed.pathname), /^\/[^:]+:ada@example\.com$/)
  t.equal(parsed.searchParams.get('secret'), secret)
  t.equal(parsed.searchParams.get('issuer'), decodeURIComponent(parsed.pathname).slice(1).split(':')[0])
  for (const [name, usual] of [['algorithm', 'SHA1'], ['digits', '6'], ['period', '30']]) t.equal(parsed.searchParams.get(name!) ?? usual, usual)
  t.match(svg, /^<svg[\s\S]*<\/svg>\s*$/)
  const lifetime = Date.parse(expiresAt) - 900_000
  t.ok(lifetime >= before && lifetime <= Date.now(), 'it waits for 15 minutes')
  t.not((await enrol(ada)).body['secret'], secret, 'each time another secret')
})

t.test('the first code turns it on, with ten backup codes', async t => {
  const bob = await signIn(service, 'bob')
  const { id, secret } = await pending(bob)
  t.equal((await status(bob))['two_step'].status, 'off')
  const code = await codeOf(secret)
  const { status: ok, body } = await confirm(bob, id, ` ${code.slice(0, 3)} ${code.slice(3)}`)
  t.equal(ok, 200)
  t.equal(body['status'], 'on')
  const codes = body['backup_codes'] as string[]
  t.equal(new Set(codes).size, 10)
  for (const backup of codes) t.match(backup, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/)
  t.equal((await status(bob))['two_step'].status, 'on')
  t.match(await confirm(bob, id, code), { status: 409, body: { type: '/problems/enrollment-confirmed' } })
  t.match(await open(bob, 'two_step.enroll'), { status: 409, body: { type: '/problems/two-step-already-on' } })
})

t.test('a wrong code costs one of five attempts, one of the wrong form none', async t => {
  const carol = await signIn(service, 'carol')
  const { id, secret } = await pending(carol)
  for (const typed of ['12345', '1234567', 'abcdef', '', '١٢٣٤٥٦', '9'.repeat(101)]) {
    t.match(await confirm(carol, id, typed), { status: 400, body: { type: '/problems/invalid-request' } }, JSON.stringify(typed))
  }
  for (const body of [{}, { code: 123456 }, { code: await codeOf(secret), more: 1 }, []]) t.equal((await call(carol, 'POST', `${path}/${id}/confirm`, undefined, body)).status, 400)
  const wrong = await wrongCodeOf(secret)
  for (const remaining of [4, 3, 2, 1, 0]) {
    t.match(await confirm(carol, id, wrong), { status: 422, body: { type: '/problems/invalid-code', attempts_remaining: remaining } })
  }
  t.match(await confirm(carol, id, await codeOf(secret)), { status: 410, body: { type: '/problems/enrollment-exhausted' } })
  t.equal((await status(carol))['two_step'].status, 'off')
})

t.test('an authenticator that is not confirmed in time is not taken', async t => {
  const dave = await signIn(service, 'dave')
  const { id, secret } = await pending(dave)
  pass(15 * 60_000)
  t.match(await confirm(dave, id, await codeOf(secret)), { status: 410, body: { type: '/problems/enrollment-expired' } })
  t.equal((await status(dave))['two_step'].status, 'off')
})

t.test('of several that wait, the first to be confirmed is the one', async t => {
  const erin = await signIn(service, 'erin')
  const [first, second] = [await pending(erin), await pending(erin)]
  t.equal((await confirm(erin, second.id, await codeOf(second.secret))).status, 200)
  t.match(await confirm(erin, first.id, await codeOf(first.secret)), { status: 409, body: { type: '/problems/enrollment-conflict' } })
})

t.test('however many confirm at once, one set of backup codes is made', async t => {
  const frank = await signIn(service, 'frank')
  const { id, secret } = await pending(frank)
  const code = await codeOf(secret)
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await confirm(frank, id, code)))
  t.equal(answers.filter(answer => answer.status === 200).length, 1)
  for (const answer of answers) t.ok([200, 409, 410].includes(answer.status))
})

t.test('somebody else\'s authenticator is not there, nor one that never was', async t => {
  const [grace, mallory] = [await signIn(service, 'grace'), await signIn(service, 'mallory')]
  const { id, secret } = await pending(grace)
  for (const answer of [await confirm(mallory, id, await codeOf(secret)), await confirm(grace, 'none', '123456'), await confirm(mallory, `grace:${id}`, '123456')]) {
    t.match(answer, { status: 404, body: { type: '/problems/not-found' } })
  }
  t.equal((await confirm(grace, id, await codeOf(secret))).status, 200)
})

t.test('setting up needs a verification of its own, once', async t => {
  const [henry, other] = [await signIn(service, 'henry'), await signIn(service, 'other')]
  const bare = await call(henry, 'POST', path)
  t.match(bare, { status: 401, body: { type: '/problems/verification-required' } })
  t.match(bare.headers.get('www-authenticate'), /^Bearer error="insufficient_user_authentication"/)
  t.match(await call(henry, 'POST', path, await pay(henry, 'privacy.update', { method: 'email' })), { status: 403, body: { type: '/problems/verification-mismatch' } })
  const token = await pay(henry, 'two_step.enroll', { method: 'email' })
  t.match(await call(other, 'POST', path, token), { status: 403, body: { type: '/problems/verification-mismatch' } })
  t.equal((await call(henry, 'POST', path, token)).status, 201)
  t.match(await call(henry, 'POST', path, token), { status: 401, body: { type: '/problems/verification-spent' } })
  const late = await pay(henry, 'two_step.enroll', { method: 'email' })
  pass(301_000)
  t.match(await call(henry, 'POST', path, late), { status: 401, body: { type: '/problems/verification-required' } })
})

t.test('a name of any length and script fits into the picture', async t => {
  const [email, longest] = ['short@example.com', `${'漢'.repeat(240)}@${'漢'.repeat(60)}.example`]
  const key = await developmentKey(service.dataDir)
  const header = { alg: 'EdDSA', kid: key.kid }
  for (const sub of ['漢'.repeat(255), '\u{20000}'.repeat(127)]) {
    // The token that pays may come with an address, and the call in the same session without one: then the account's name is shown.
    const claims = { sub, sid: 'one', scope: 'settings' }
    const [withAddress, without] = [makeToken(header, rightClaims({ ...claims, email }), key.privateKey), makeToken(header, rightClaims(claims), key.privateKey)]
    const answer = await call({ token: without }, 'POST', path, await service.verify(withAddress, email, 'two_step.enroll'))
    t.match(answer, { status: 201, body: { qr_svg: /^<svg/ } })
  }
  const token = await service.token({ sub: 'long-address', email: longest, expires_in: 86_400 })
  const answer = await call({ token }, 'POST', path, await service.verify(token, longest, 'two_step.enroll'))
  t.match(answer, { status: 201, body: { qr_svg: /^<svg/ } })
})

t.test('an authenticator of another account is not there, whatever the accounts are called', async t => {
  // Two accounts whose keys lie in one partition.
  const suffix = 'abcdefghijklmnopqrstuvwxyz'.split('').flatMap(first => [first, `${first}1`]).find(end => accountPartition(`A:${end}`) === accountPartition('A'))!
  const [email, token] = ['a-b@example.com', await service.token({ sub: `A:${suffix}`, email: 'a-b@example.com', expires_in: 86_400 })]
  const owner: Person = { ...await signIn(service, 'unused'), token, email }
  const { id, secret } = await pending(owner)
  const mallory = await signIn(service, 'A')
  t.match(await confirm(mallory, `${suffix}%3A${id}`, await codeOf(secret)), { status: 404, body: { type: '/problems/not-found' } })
  t.match(await confirm(owner, id, await wrongCodeOf(secret)), { status: 422, body: { attempts_remaining: 4 } }, 'and costs the owner nothing')
  t.equal((await confirm(owner, id, await codeOf(secret))).status, 200)
})

t.test('of those who confirm at once, one does, and the others hear that it is confirmed', async t => {
  const person = await signIn(service, 'at-once')
  const { id, secret } = await pending(person)
  const code = await codeOf(secret)
  const answers = await Promise.all(Array.from({ length: 4 }, async () => await confirm(person, id, code)))
  t.same(answers.map(({ status }) => status).sort(), [200, 409, 409, 409])
  for (const { status, body } of answers) if (status === 409) t.equal(body['type'], '/problems/enrollment-confirmed')
})
