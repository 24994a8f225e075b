import { generate } from 'otplib'
import t from 'tap'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { signIn, type Answer } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'

const pass = passTime(t)
const service = await startTestService(t)
const person = await signIn(service, 'ada')
const security = keyIn(accountPartition('ada'), 'security', 'ada')

const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  await service.call(method, `/v1/${path}`, { token: person.token, headers, ...(body === undefined ? {} : { body }) })
const open = async (purpose: string): Promise<Answer> => await call('POST', 'verification/challenges', { purpose })
const verify = async (id: string, method: string, code: string): Promise<Answer> => await call('POST', `verification/challenges/${id}/verify`, { method, code })
const status = async (): Promise<string> => (await call('GET', 'me/security')).body['two_step'].status as string
const stepsFromNow = async (secret: string, steps: number): Promise<string> => await generate({ secret, epoch: Math.floor(Date.now() / 1000) + steps * 30 })
/** The next code that has not been used. */
async function nextCode (secret: string): Promise<string> {
  pass(60_000)
  return await stepsFromNow(secret, 0)
}

async function enrol (token: string): Promise<{ secret: string, backupCodes: string[] }> {
  const { body } = await call('POST', 'me/two-step/totp', undefined, { 'verification-token': token })
  const confirmed = await call('POST', `me/two-step/totp/${String(body['enrollment_id'])}/confirm`, { code: await stepsFromNow(body['secret'] as string, 0) })
  return { secret: body['secret'] as string, backupCodes: confirmed.body['backup_codes'] as string[] }
}

/** Wrong codes, one after the other, as someone types them who waits out every lock. */
async function guess (count: number, secret: string): Promise<number[]> {
  const near = await Promise.all([-2, -1, 0, 1, 2].map(async steps => await stepsFromNow(secret, steps)))
  const wrong = ['000000', '111111', '222222', '333333', '444444', '555555'].find(code => !near.includes(code)) ?? ''
  const statuses: number[] = []
  let id = ''
  for (let guessed = 0; guessed < count; guessed++) {
    if (guessed % 5 === 0) {
      id = (await open('privacy.update')).body['id'] as string
      await service.redis.hdel(security, 'locked_until')
    }
    statuses.push((await verify(id, 'totp', wrong)).status)
  }
  await service.redis.hdel(security, 'locked_until')
  return statuses
}

let { secret, backupCodes } = await enrol(await service.verify(person.token, person.email, 'two_step.enroll'))

t.test('the right code after 99 wrong ones still counts, and the count begins anew', async t => {
  t.same(await guess(99, secret), Array<number>(99).fill(422))
  t.equal(await status(), 'on')
  t.equal((await verify((await open('privacy.update')).body['id'] as string, 'totp', await nextCode(secret))).status, 200)
  t.equal(await service.redis.hget(security, 'totp_failures'), null)
})

t.test('a hundred wrong codes in a row suspend the authenticator, whatever was proved otherwise in between', async t => {
  await guess(50, secret)
  const id = (await open('privacy.update')).body['id'] as string
  t.equal((await call('POST', `verification/challenges/${id}/email`)).status, 202)
  t.equal((await verify(id, 'email', await service.mailedCode(person.email))).status, 200)
  await guess(49, secret)
  t.equal(await status(), 'on')
  t.same(await guess(1, secret), [422])
  t.equal(await status(), 'suspended')
  const refused = await verify((await open('privacy.update')).body['id'] as string, 'totp', await nextCode(secret))
  t.match(refused, { status: 423, body: { type: '/problems/authenticator-suspended' } }, 'the right code is not looked at')
  const { body } = await call('GET', 'me/security/events')
  t.equal(body['events'].filter(({ kind }: { kind: string }) => kind === 'authenticator_suspended').length, 1, 'it is logged once')
  await eventually('the person is told', async () => (await service.call<unknown[]>('GET', `/dev/inbox?to=${person.email}`)).body.some(letter => /suspended/i.test(JSON.stringify(letter))))
})

t.test('suspended is not off: e-mail opens nothing that it did not open before', async t => {
  t.match(await open('two_step.enroll'), { status: 409, body: { type: '/problems/two-step-already-on' } })
  for (const purpose of ['data.export', 'data.erase', 'two_step.replace', 'backup_codes.regenerate']) {
    const { status, body } = await open(purpose)
    t.equal(status, 201, purpose)
    t.same(body['methods'].map(({ type }: { type: string }) => type), ['totp', 'backup_code'], purpose)
    const id = body['id'] as string
    t.match(await call('POST', `verification/challenges/${id}/email`), { status: 403, body: { type: '/problems/method-too-weak' } }, purpose)
    t.match(await verify(id, 'email', '123456'), { status: 403, body: { type: '/problems/method-too-weak' } }, purpose)
    t.equal((await call('GET', `verification/challenges/${id}`)).body['attempts_remaining'], 5, purpose)
  }
})

t.test('a restart does not lift it, and neither does waiting', async t => {
  await service.restart()
  pass(86_400_000)
  t.equal(await status(), 'suspended')
  t.equal((await verify((await open('privacy.update')).body['id'] as string, 'totp', await nextCode(secret))).status, 423)
})

t.test('a backup code still works, and with one the authenticator is replaced', async t => {
  const settings = await verify((await open('privacy.update')).body['id'] as string, 'backup_code', backupCodes[7]!)
  t.match(settings, { status: 200, body: { acr: 'urn:assent:acr:2sv', backup_codes: { remaining: 9, low: false } } })
  t.equal(await status(), 'suspended', 'which alone does not lift the suspension')
  const paid = await verify((await open('two_step.replace')).body['id'] as string, 'backup_code', backupCodes[2]!)
  const old = secret
  ;({ secret, backupCodes } = await enrol(paid.body['verification_token'] as string))
  t.not(secret, old)
  t.equal(await status(), 'on')
  t.equal((await verify((await open('data.export')).body['id'] as string, 'totp', await nextCode(secret))).status, 200)
  t.equal((await verify((await open('privacy.update')).body['id'] as string, 'totp', await nextCode(old))).status, 422, 'the old one is gone')
  t.equal(backupCodes.length, 10)
})
