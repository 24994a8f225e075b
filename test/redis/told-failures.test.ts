import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connectForRequests } from '../../src/redis/client.ts'
import { makeChallengeStore } from '../../src/redis/challenge-store.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { signIn, type Answer, type Person } from '../support/api.ts'
import { eventually, passTime, startTestService, uuid } from '../support/service.ts'
import { makeTwoStepClient, wrongCodeOf } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { letters, nextCode, open, protect, verify } = makeTwoStepClient(service, pass)
const redis = connectForRequests({ socketPath: `${service.dataDir}/redis/redis.sock` })
await redis.connect()
t.teardown(() => { redis.disconnect() })
const challenges = makeChallengeStore(redis, { limited: false, resendMs: 0, sendsPerHourMax: 0, sendsPerDayMax: 0 }, uuid)

const kinds = async ({ token }: Person): Promise<string[]> =>
  (await service.call<{ events: Array<{ kind: string }> }>('GET', '/v1/me/security/events', { token })).body.events.map(({ kind }) => kind)
const subjects = async (person: Person): Promise<string[]> => (await letters(person)).map(({ subject }) => subject)
const idOf = ({ body }: Answer): string => body['id'] as string

for (const method of ['totp', 'email'] as const) {
  t.test(`a right code that is sent twice at once locks nobody, and nobody is told so (${method})`, async t => {
    const person = method === 'totp' ? await protect(`twice-${method}`) : { ...await signIn(service, `twice-${method}`), secret: '' }
    const first = idOf(await open(person, 'privacy.update'))
    const mailed = method === 'email' ? await service.mailedCode(person.email) : ''
    const wrong = method === 'totp' ? await wrongCodeOf(person.secret) : mailed === '000000' ? '000001' : '000000'
    for (let attempt = 0; attempt < 3; attempt++) t.equal((await verify(person, first, method, wrong)).status, 422)
    const right = method === 'totp' ? await nextCode(person.secret) : mailed
    // Reads go on, writes wait: both have paid before either is accepted.
    await service.redis.call('CLIENT', 'PAUSE', '700', 'WRITE')
    const answers = await Promise.all([verify(person, first, method, right), verify(person, first, method, right)])
    t.same(answers.map(({ status }) => status).sort(), [200, 422])
    t.notOk((await kinds(person)).includes('account_locked'))
    await sleep(500) // For a letter that should not come.
    t.notOk((await subjects(person)).includes('Too many wrong codes'))
    pass(61_000)
    await sleep(1200)
    t.notOk((await kinds(person)).includes('account_locked'), 'nor later')
  })
}

t.test('a lock that is real is told once', async t => {
  const person = await protect('locked')
  const id = idOf(await open(person, 'privacy.update'))
  for (let attempt = 0; attempt < 5; attempt++) await verify(person, id, 'totp', await wrongCodeOf(person.secret))
  await eventually('the letter came', async () => (await subjects(person)).includes('Too many wrong codes'))
  pass(61_000)
  await sleep(1200)
  t.equal((await kinds(person)).filter(kind => kind === 'account_locked').length, 1)
  t.equal((await subjects(person)).filter(subject => subject === 'Too many wrong codes').length, 1)
})

t.test('a lock and a suspension are told though the process died before it looked at the code', async t => {
  const person = await protect('crash')
  const security = keyIn(accountPartition('crash'), 'security', 'crash')
  await redis.hset(security, 'failures', '104', 'totp_failures', '99')
  const { challenge } = (await challenges.find(idOf(await open(person, 'privacy.update')), Date.now()))!
  t.match(await challenges.reserve(challenge, 'totp', Date.now()), { reserved: true, toTell: true })
  await sleep(1200)
  t.notOk((await kinds(person)).includes('account_locked'), 'a look may still be under way')
  pass(61_000)
  await eventually('both letters came', async () => {
    const found = await subjects(person)
    return found.includes('Too many wrong codes') && found.includes('Your authenticator app is suspended')
  })
  t.same((await kinds(person)).filter(kind => kind === 'account_locked' || kind === 'authenticator_suspended').length, 2)
  t.equal(await redis.zcard(keyIn(accountPartition('crash'), 'security-due')), 0, 'and nothing is left to look at')
})

t.test('a secret that is sealed anew while its code is looked at verifies all the same', async t => {
  const person = await protect('resealed')
  pass(60_000)
  const { challenge } = (await challenges.find(idOf(await open(person, 'privacy.update')), Date.now()))!
  t.match(await challenges.reserve(challenge, 'totp', Date.now()), { reserved: true })
  await redis.hset(keyIn(accountPartition('resealed'), 'security', 'resealed'), 'totp', 'sealed anew')
  t.same(await challenges.succeed(challenge, { method: 'totp', step: Math.floor(Date.now() / 30_000), resealedSecret: null }, null, []), { backupCodesLeft: 10 })
})

t.test('where letters go is changed by a proof, not by whoever opens a challenge', async t => {
  const person = await protect('moved')
  const stranger = { token: await service.token({ sub: 'moved', email: 'stranger@example.com' }), email: 'stranger@example.com' }
  const key = keyIn(accountPartition('moved'), 'security', 'moved')
  const known = await redis.hget(key, 'mail_to')
  const id = idOf(await open(stranger, 'privacy.update'))
  t.equal(await redis.hget(key, 'mail_to'), known)
  for (let attempt = 0; attempt < 5; attempt++) await verify(stranger, id, 'totp', await wrongCodeOf(person.secret))
  await eventually('the person is told', async () => (await subjects(person)).includes('Too many wrong codes'))
  pass(61_000)
  t.equal((await verify(stranger, idOf(await open(stranger, 'privacy.update')), 'totp', await nextCode(person.secret))).status, 200)
  t.not(await redis.hget(key, 'mail_to'), known)
})
