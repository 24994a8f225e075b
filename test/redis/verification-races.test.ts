import { join } from 'node:path'
import { generate } from 'otplib'
import t from 'tap'
import { connectForRequests } from '../../src/redis/client.ts'
import { makeChallengeStore } from '../../src/redis/challenge-store.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { signIn, type Answer, type Person } from '../support/api.ts'
import { passTime, startTestService, uuid } from '../support/service.ts'

const pass = passTime(t)
const service = await startTestService(t)

const call = async ({ token }: Person, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  await service.call(method, `/v1/${path}`, { token, headers, ...(body === undefined ? {} : { body }) })
const open = async (person: Person, purpose = 'privacy.update'): Promise<string> => (await call(person, 'POST', 'verification/challenges', { purpose })).body['id'] as string
const openMany = async (person: Person, count: number): Promise<string[]> => await Promise.all(Array.from({ length: count }, async () => await open(person)))
const verify = async (person: Person, id: string, method: string, code: string): Promise<Answer> => await call(person, 'POST', `verification/challenges/${id}/verify`, { method, code })
const times = async (count: number, ask: (index: number) => Promise<Answer>): Promise<Answer[]> => await Promise.all(Array.from({ length: count }, async (_, index) => await ask(index)))
const tally = (answers: Answer[]): Record<string, number> =>
  answers.reduce<Record<string, number>>((counts, { status }) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }), {})

const startEnrolment = async (person: Person): Promise<{ id: string, secret: string }> => {
  const token = await service.verify(person.token, person.email, 'two_step.enroll')
  const { body } = await call(person, 'POST', 'me/two-step/totp', undefined, { 'verification-token': token })
  return { id: body['enrollment_id'] as string, secret: body['secret'] as string }
}
const codeNow = async (secret: string): Promise<string> => await generate({ secret, epoch: Math.floor(Date.now() / 1000) })
/** A code that is right at no moment near this one. */
const wrongCode = async (secret: string): Promise<string> => {
  const near = await Promise.all([-2, -1, 0, 1, 2].map(async step => await generate({ secret, epoch: Math.floor(Date.now() / 1000) + step * 30 })))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find(code => !near.includes(code)) ?? ''
}

/** A person with an authenticator, whose next code has not been used. */
async function enrolled (name: string): Promise<{ person: Person, secret: string, backupCodes: string[] }> {
  const person = await signIn(service, name)
  const { id, secret } = await startEnrolment(person)
  const { body } = await call(person, 'POST', `me/two-step/totp/${id}/confirm`, { code: await codeNow(secret) })
  pass(60_000)
  return { person, secret, backupCodes: body['backup_codes'] as string[] }
}

t.test('of fifty guesses at once at one challenge, five are looked at', async t => {
  const { person, secret } = await enrolled('one-challenge')
  const [id, wrong] = [await open(person), await wrongCode(secret)]
  const counts = tally(await times(50, async () => await verify(person, id, 'totp', wrong)))
  t.equal(counts['422'], 5)
  t.equal((counts['410'] ?? 0) + (counts['429'] ?? 0), 45)
  t.match(await verify(person, id, 'totp', await codeNow(secret)), { status: 410 }, 'the right one comes too late')
})

t.test('of fifty guesses at once at fifty challenges, five are looked at', async t => {
  const { person, secret } = await enrolled('fifty-challenges')
  const [ids, wrong] = [await openMany(person, 50), await wrongCode(secret)]
  t.same(tally(await times(50, async index => await verify(person, ids[index]!, 'totp', wrong))), { 422: 5, 429: 45 })
  const refused = await verify(person, await open(person), 'totp', await codeNow(secret))
  t.match(refused, { status: 429, body: { type: '/problems/verification-locked' } }, 'the account is locked, for the right code too')
  t.match(refused.headers.get('retry-after'), /^[1-9]\d?$/)
})

t.test('guesses with every method at once share the five', async t => {
  const { person, secret } = await enrolled('every-method')
  const ids = await openMany(person, 48)
  for (const id of ids) await call(person, 'POST', `verification/challenges/${id}/email`)
  const guesses = { totp: await wrongCode(secret), backup_code: 'Z'.repeat(16), email: '000000' }
  const answers = await Promise.all(ids.map(async (id, index) => {
    const [method, code] = Object.entries(guesses)[index % 3]!
    return await verify(person, id, method, code)
  }))
  t.same(tally(answers), { 422: 5, 429: 43 })
})

for (const method of ['totp', 'backup_code']) {
  t.test(`of twenty uses of one code at once, on a challenge each, one succeeds: ${method}`, async t => {
    const { person, secret, backupCodes } = await enrolled(`raced-${method}`)
    const [ids, code] = [await openMany(person, 20), method === 'totp' ? await codeNow(secret) : backupCodes[4]!]
    const counts = tally(await times(20, async index => await verify(person, ids[index]!, method, code)))
    t.equal(counts['200'], 1)
    t.equal(20 - (counts['422'] ?? 0) - (counts['429'] ?? 0), 1)
    pass(3_600_000)
    t.match(await verify(person, await open(person), method, code), { status: 422 }, 'and none later')
  })
}

t.test('of twenty uses of one mailed code at once, one succeeds', async t => {
  const person = await signIn(service, 'raced-email')
  const [id, code] = [await open(person), await service.mailedCode(person.email)]
  const answers = await times(20, async () => await verify(person, id, 'email', code))
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  t.equal((await verify(person, id, 'email', code)).status, 409)
})

t.test('of twenty changes at once that one token is to pay for, one is made', async t => {
  const { person, backupCodes } = await enrolled('raced-token')
  const token = async (purpose: string, code: string): Promise<string> => (await verify(person, await open(person, purpose), 'backup_code', code)).body['verification_token'] as string
  const [forSettings, forCodes] = [await token('privacy.update', backupCodes[0]!), await token('backup_codes.regenerate', backupCodes[1]!)]
  const changed = await times(20, async () => await call(person, 'PATCH', 'me/privacy', { account: { product_analytics: 'granted' } }, { 'if-match': '"0"', 'verification-token': forSettings }))
  t.equal(tally(changed)['200'], 1)
  for (const { status } of changed) t.ok([200, 401, 412].includes(status), String(status))
  const made = await times(20, async () => await call(person, 'POST', 'me/two-step/backup-codes', undefined, { 'verification-token': forCodes }))
  t.same(tally(made), { 201: 1, 401: 19 })
  const [code] = made.find(({ status }) => status === 201)!.body['codes'] as string[]
  t.equal((await verify(person, await open(person), 'backup_code', code!)).status, 200, 'the codes that were shown are those that hold')
})

t.test('of twenty confirmations at once of one enrolment, one succeeds', async t => {
  const person = await signIn(service, 'raced-enrolment')
  const { id, secret } = await startEnrolment(person)
  const code = await codeNow(secret)
  const answers = await times(20, async () => await call(person, 'POST', `me/two-step/totp/${id}/confirm`, { code }))
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  for (const { status } of answers) t.ok([200, 409, 410].includes(status), String(status))
  const codes = answers.find(({ status }) => status === 200)!.body['backup_codes'] as string[]
  t.equal((await verify(person, await open(person), 'backup_code', codes[9]!)).status, 200, 'with the backup codes that were shown')
})

t.test('an attempt is paid for even if the process dies before it looks', async t => {
  const { person, secret } = await enrolled('crash')
  const id = await open(person)
  const redis = connectForRequests({ socketPath: join(service.dataDir, 'redis', 'redis.sock') })
  await redis.connect()
  t.teardown(() => { redis.disconnect() })
  const challenges = makeChallengeStore(redis, { limited: false, resendMs: 0, sendsPerHourMax: 0, sendsPerDayMax: 0 }, uuid)
  const { challenge } = (await challenges.find(id, Date.now()))!
  for (const remaining of [4, 3]) t.match(await challenges.reserve(challenge, 'totp', Date.now()), { reserved: true, attemptsRemaining: remaining })

  t.equal((await call(person, 'GET', `verification/challenges/${id}`)).body['attempts_remaining'], 3)
  const security = keyIn(accountPartition('crash'), 'security', 'crash')
  t.same(await redis.hmget(security, 'failures', 'totp_failures'), ['2', '2'], 'and counts as a wrong code')
  t.match(await verify(person, id, 'totp', await wrongCode(secret)), { status: 422, body: { attempts_remaining: 2 } })
  t.equal((await verify(person, id, 'totp', await codeNow(secret))).status, 200, 'the rest are still there')
  t.same(await redis.hmget(security, 'failures', 'totp_failures'), [null, null])
})
