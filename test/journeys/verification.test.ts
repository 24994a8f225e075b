import t from 'tap'
import { signIn, type Person } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)

const call = async (person: Pick<Person, 'token'>, method: string, path: string, body?: unknown) =>
  await service.call(method, `/v1/verification/challenges${path}`, { token: person.token, ...(body === undefined ? {} : { body }) })
const open = async (person: Pick<Person, 'token'>, purpose = 'privacy.update') => await call(person, 'POST', '', { purpose })
const verify = async (person: Person, id: string, code: string, method = 'email') => await call(person, 'POST', `/${id}/verify`, { method, code })

/** A challenge of a person, and the code that was mailed for it. */
async function challenge (person: Person): Promise<{ id: string, code: string, wrong: string }> {
  const id = (await open(person)).body['id'] as string
  const code = await service.mailedCode(person.email)
  return { id, code, wrong: String((Number(code) + 1) % 1_000_000).padStart(6, '0') }
}

async function letters (address: string): Promise<Array<{ to: string, subject: string, text: string }>> {
  return (await service.call<Array<{ to: string, subject: string, text: string }>>('GET', `/dev/inbox?to=${address}`)).body
}

t.test('a challenge says how it can be met, and the code is on its way', async t => {
  const ada = await signIn(service, 'ada')
  const before = Date.now()
  const { status, body } = await open(ada)
  t.equal(status, 201)
  const { id, expires_at: expiresAt, ...rest } = body
  t.same(rest, { purpose: 'privacy.update', methods: [{ type: 'email', hint: 'a***@example.com', sent: true }], attempts_remaining: 5 })
  const lifetime = Date.parse(expiresAt) - 900_000
  t.ok(lifetime >= before && lifetime <= Date.now(), 'it lives for 15 minutes')
  t.same((await call(ada, 'GET', `/${id}`)).body, body)

  const code = await service.mailedCode(ada.email)
  const [letter] = await letters(ada.email)
  t.match(letter, { to: ada.email, text: new RegExp(`^${code}$`, 'm') })
  t.notMatch(letter!.subject, /\d/, 'no code stands in the subject')

  const { status: ok, body: verified } = await verify(ada, id, code)
  t.equal(ok, 200)
  t.match(verified, { expires_in: 300, purpose: 'privacy.update', acr: 'urn:assent:acr:email', amr: ['mca', 'email'], verification_token: /^[\w-]+\.[\w-]+\.[\w-]+$/ })
  t.match(await verify(ada, id, code), { status: 409, body: { type: '/problems/challenge-verified' } })
})

t.test('the letter is in the person\'s language where there are words for it', async t => {
  for (const [locale, subject] of [['de-AT', 'Ihr Bestätigungscode'], ['en', 'Your verification code'], ['tlh', 'Your verification code'], ['constructor', 'Your verification code']]) {
    const email = `${locale!}@example.com`
    await open({ token: await service.token({ sub: `speaks-${locale!}`, email, locale: locale! }) })
    await service.mailedCode(email)
    t.equal((await letters(email))[0]?.subject, subject)
  }
})

t.test('a wrong code costs one of five attempts, and then the right one comes too late', async t => {
  const bob = await signIn(service, 'bob')
  const { id, code, wrong } = await challenge(bob)
  for (const remaining of [4, 3, 2, 1, 0]) {
    t.match(await verify(bob, id, wrong), { status: 422, body: { type: '/problems/invalid-code', attempts_remaining: remaining } })
  }
  t.match(await verify(bob, id, code), { status: 410, body: { type: '/problems/challenge-exhausted' } })
  t.equal((await call(bob, 'GET', `/${id}`)).body['attempts_remaining'], 0)
  t.match(await call(bob, 'POST', `/${id}/email`), { status: 410 }, 'and no new code is sent for it')
})

t.test('what is not of the form of a code costs nothing', async t => {
  const carol = await signIn(service, 'carol')
  const { id, code } = await challenge(carol)
  for (const typed of ['12345', '1234567', 'abcdef', '+12345', '12e456', '0x1234', '', ' '.repeat(6), '١٢٣٤٥٦', '9'.repeat(101)]) {
    t.match(await verify(carol, id, typed), { status: 400, body: { type: '/problems/invalid-request' } }, JSON.stringify(typed))
  }
  for (const body of [{ code }, { method: 'sms', code }, { method: 'email' }, { method: 'email', code: Number(code) }, { method: 'email', code, more: 1 }, []]) {
    t.equal((await call(carol, 'POST', `/${id}/verify`, body)).status, 400)
  }
  t.equal((await verify(carol, id, code, 'totp')).status, 422, 'nor does a method that this challenge does not take')
  t.equal((await call(carol, 'GET', `/${id}`)).body['attempts_remaining'], 5)
  const fullWidth = [...code].map(digit => String.fromCodePoint(0xff10 + Number(digit))).join('')
  t.equal((await verify(carol, id, ` ${fullWidth.slice(0, 3)}-${fullWidth.slice(3)} `)).status, 200, 'the right one, typed in its own way')
})

t.test('a code that was followed by another is a wrong code', async t => {
  const dave = await signIn(service, 'dave')
  const { id, code } = await challenge(dave)
  t.match(await verify(dave, id, String((Number(code) + 1) % 1_000_000).padStart(6, '0')), { status: 422 })
  t.match(await call(dave, 'POST', `/${id}/email`), { status: 202, body: { hint: 'd***@example.com', expires_at: /Z$/, resend_after: /Z$/ } })
  const second = await service.mailedCode(dave.email)
  t.match(await verify(dave, id, code), { status: 422, body: { type: '/problems/invalid-code', attempts_remaining: 3 } }, 'attempts are kept across codes')
  t.equal((await verify(dave, id, second)).status, 200)
})

t.test('however many use the right code at once, one succeeds', async t => {
  const erin = await signIn(service, 'erin')
  const { id, code } = await challenge(erin)
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await verify(erin, id, code)))
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  for (const { status } of answers) t.ok([200, 409, 410, 422].includes(status))
})

t.test('however many guess at once, five codes are looked at', async t => {
  const frank = await signIn(service, 'frank')
  const { id, wrong } = await challenge(frank)
  const statuses = (await Promise.all(Array.from({ length: 20 }, async () => await verify(frank, id, wrong)))).map(({ status }) => status)
  t.same(statuses.sort(), [...Array<number>(15).fill(410), ...Array<number>(5).fill(422)])
})

t.test('a code is for its own challenge', async t => {
  const grace = await signIn(service, 'grace')
  const [first, second] = [await challenge(grace), await challenge(grace)]
  t.match(await verify(grace, first.id, second.code), { status: 422 })
  t.match(await verify(grace, second.id, second.code), { status: 200 })
})

t.test('somebody else\'s challenge is not there, nor one that was given up', async t => {
  const [owner, other] = [await signIn(service, 'owner'), await signIn(service, 'mallory')]
  const { id, code } = await challenge(owner)
  for (const answer of [await call(other, 'GET', `/${id}`), await verify(other, id, code), await call(other, 'POST', `/${id}/email`), await call(other, 'DELETE', `/${id}`)]) {
    t.match(answer, { status: 404, body: { type: '/problems/not-found' } })
  }
  t.match(await call(owner, 'GET', `/${id}`), { status: 200, body: { attempts_remaining: 5 } })
  t.equal((await call(owner, 'DELETE', `/${id}`)).status, 204)
  for (const answer of [await call(owner, 'GET', `/${id}`), await verify(owner, id, code), await call(owner, 'DELETE', `/${id}`)]) t.equal(answer.status, 404)
})

t.test('a challenge that cannot be met is not opened', async t => {
  const henry = await signIn(service, 'henry')
  for (const purpose of ['two_step.replace', 'two_step.disable', 'backup_codes.regenerate']) {
    t.match(await open(henry, purpose), { status: 404, body: { type: '/problems/two-step-off' } })
  }
  for (const purpose of ['privacy.updat', '', 'constructor']) t.equal((await open(henry, purpose)).status, 400)
  const managed = { token: await service.token({ sub: 'ivy', email: 'ivy@example.com', account_kind: 'organization' }) }
  t.match(await open(managed, 'two_step.enroll'), { status: 403, body: { type: '/problems/managed-by-organization' } })
  t.equal((await open(managed)).status, 201)
  t.match(await open({ token: await service.token({ sub: 'no-address' }) }), { status: 422, body: { type: '/problems/email-unknown' } })
  t.match(await open({ token: await service.token({ device_id: 'pc' }) }), { status: 403, body: { type: '/problems/account-required' } })
})
