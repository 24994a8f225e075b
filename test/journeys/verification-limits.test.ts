import t, { type Test } from 'tap'
import { signIn, type Answer, type Person } from '../support/api.ts'
import { passTime, startTestService } from '../support/service.ts'

const [second, minute, hour] = [1000, 60_000, 3_600_000]
const pass = passTime(t)
// Ten digits, so that none of them is found in a text by chance.
const service = await startTestService(t, { RATE_LIMITS: 'on', EMAIL_CODE_DIGITS: '10' })

const call = async (person: Person, method: string, path: string, body?: unknown): Promise<Answer> =>
  await service.call(method, `/v1/verification/challenges${path}`, { token: person.token, ...(body === undefined ? {} : { body }) })
const open = async (person: Person): Promise<Answer> => await call(person, 'POST', '', { purpose: 'privacy.update' })
const send = async (person: Person, id: string): Promise<Answer> => await call(person, 'POST', `/${id}/email`)
const verify = async (person: Person, id: string, code: string): Promise<Answer> => await call(person, 'POST', `/${id}/verify`, { method: 'email', code })
const wrongFor = (code: string): string => `${code.slice(0, -1)}${String((Number(code.at(-1)) + 1) % 10)}`

async function challenge (person: Person): Promise<{ id: string, code: string }> {
  const { body } = await open(person)
  return { id: body['id'] as string, code: await service.mailedCode(person.email) }
}

/** Asserts a refusal for the time being, and that it says how long, to the second. */
function isRefusedFor (t: Test, answer: Answer, slug: string, ms: number): void {
  t.match(answer, { status: 429, body: { type: `/problems/${slug}` } })
  const seconds = Number(answer.headers.get('retry-after'))
  t.ok(seconds <= ms / second && seconds > ms / second - 10, `${slug}: ${seconds} of ${ms / second} s`)
}

t.test('no usable code stands in Redis or in the log', async t => {
  const person = await signIn(service, 'secret')
  const commands: string[] = []
  const monitor = await service.redis.monitor()
  monitor.on('monitor', (_time: string, args: string[]) => { commands.push(args.join(' ')) })
  const { id, code } = await challenge(person)
  const token = (await verify(person, id, code)).body['verification_token'] as string
  t.type(token, 'string')
  monitor.disconnect()
  const [sealed, plain] = [commands, service.logs].map(lines => lines.filter(line =>
    [code, Buffer.from(code).toString('base64'), Buffer.from(code).toString('hex'), person.email, token].some(secret => line.includes(secret))))
  // The challenge itself keeps the address that its code goes to.
  t.same(sealed!.filter(line => !line.includes(`"email":"${person.email}"`) || line.includes(code)), [])
  t.same(plain, [])
  t.ok(commands.some(line => line.includes('sealed')), 'the letter did go through Redis')
  t.ok(service.logs.length > 0)
})

t.test('a code lives for ten minutes, a challenge for fifteen, a token for five', async t => {
  const person = await signIn(service, 'ages')
  const { id, code } = await challenge(person)
  pass(10 * minute)
  t.match(await verify(person, id, code), { status: 422, body: { type: '/problems/invalid-code', attempts_remaining: 4 } }, 'too old is answered like wrong')
  t.equal((await send(person, id)).status, 202)
  const renewed = await service.mailedCode(person.email)
  pass(5 * minute)
  t.match(await verify(person, id, renewed), { status: 410, body: { type: '/problems/challenge-expired' } }, 'a new code does not outlive its challenge')
  t.match(await send(person, id), { status: 410 })

  const next = await challenge(person)
  pass(10 * minute - 10 * second)
  const token = (await verify(person, next.id, next.code)).body['verification_token'] as string
  const change = async (): Promise<Answer> => await service.call('PATCH', '/v1/me/privacy', {
    token: person.token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': '"9"', 'verification-token': token }
  })
  pass(290 * second)
  t.equal((await change()).status, 412, 'still good')
  pass(11 * second)
  t.match(await change(), { status: 401, body: { type: '/problems/verification-required' } })
})

t.test('codes are sent a minute apart, five an hour, ten a day, whatever challenges are opened', async t => {
  const person = await signIn(service, 'sends')
  const { id } = await challenge(person)
  isRefusedFor(t, await send(person, id), 'resend-too-soon', minute)
  isRefusedFor(t, await open(person), 'resend-too-soon', minute)
  pass(minute)
  t.match(await send(person, id), { status: 202, body: { hint: 's***@example.com' } })
  for (let sent = 2; sent < 5; sent++) {
    pass(minute)
    t.equal((await open(person)).status, 201)
  }
  pass(minute)
  isRefusedFor(t, await send(person, id), 'email-quota', 55 * minute)
  isRefusedFor(t, await open(person), 'email-quota', 55 * minute)
  t.equal((await call(person, 'GET', `/${id}`)).body['attempts_remaining'], 5)
  const other = await signIn(service, 'sends-too')
  t.equal((await open(other)).status, 201, 'the limits are each account\'s own')
  pass(55 * minute)
  for (let sent = 5; sent < 10; sent++) {
    t.equal((await open(person)).status, 201, `code ${sent + 1} of the day`)
    pass(minute)
  }
  pass(hour)
  isRefusedFor(t, await open(person), 'email-quota', 24 * hour - 125 * minute)
  pass(22 * hour)
  t.equal((await open(person)).status, 201, 'the next day')
})

t.test('failures in a row lock the account, over all its challenges, for longer each time', async t => {
  const person = await signIn(service, 'locks')
  for (const lockMs of [30 * second, 2 * minute, 8 * minute, 32 * minute, hour, hour]) {
    pass(12 * hour) // Keeps the codes within the limits on sending.
    const { id, code } = await challenge(person)
    for (let failure = 0; failure < 5; failure++) t.equal((await verify(person, id, wrongFor(code))).status, 422)
    pass(minute) // So that another code may be sent, while most of the locks still hold.
    const next = await challenge(person)
    if (lockMs > minute) {
      isRefusedFor(t, await verify(person, next.id, next.code), 'verification-locked', lockMs - minute)
      t.equal((await call(person, 'GET', `/${next.id}`)).body['attempts_remaining'], 5, 'a code that is not looked at costs nothing')
    }
  }
})

t.test('a lock of half a minute ends after half a minute, and a success starts the count anew', async t => {
  const person = await signIn(service, 'forgiven')
  const first = await challenge(person)
  for (let failure = 0; failure < 4; failure++) await verify(person, first.id, wrongFor(first.code))
  pass(minute)
  const later = await challenge(person)
  t.match(await verify(person, later.id, wrongFor(later.code)), { status: 422, body: { attempts_remaining: 4 } })
  isRefusedFor(t, await verify(person, later.id, later.code), 'verification-locked', 30 * second)
  isRefusedFor(t, await verify(person, first.id, first.code), 'verification-locked', 30 * second)
  pass(30 * second)
  t.equal((await verify(person, later.id, later.code)).status, 200)

  pass(minute)
  const third = await challenge(person)
  for (let failure = 0; failure < 4; failure++) await verify(person, third.id, wrongFor(third.code))
  t.equal((await verify(person, third.id, third.code)).status, 200, 'four failures after a success lock nothing')
})

t.test('what was refused for coming too soon is not counted as opened', async t => {
  const person = await signIn(service, 'impatient')
  t.equal((await open(person)).status, 201)
  for (let asked = 0; asked < 40; asked++) isRefusedFor(t, await open(person), 'resend-too-soon', minute)
  pass(minute)
  t.equal((await open(person)).status, 201)
})
