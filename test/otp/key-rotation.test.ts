import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { generate } from 'otplib'
import t from 'tap'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { signIn, type Answer } from '../support/api.ts'
import { passTime, startTestService } from '../support/service.ts'

const makeKey = async (kid: string): Promise<JWK> => {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  return { ...await exportJWK(privateKey), kid }
}
const [first, second] = [await makeKey('first'), await makeKey('second')]
const keysFile = join(t.testdir(), 'verification-keys.json')
const useKeys = async (...keys: JWK[]): Promise<void> => { await writeFile(keysFile, JSON.stringify({ keys })) }
await useKeys(first)

const pass = passTime(t)
const service = await startTestService(t, { VERIFICATION_KEYS_FILE: keysFile })
const person = await signIn(service, 'ada')
const security = keyIn(accountPartition('ada'), 'security', 'ada')

const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  await service.call(method, `/v1/${path}`, { token: person.token, headers, ...(body === undefined ? {} : { body }) })
const change = async (token: string, revision: number): Promise<Answer> =>
  await call('PATCH', 'me/privacy', { account: { product_analytics: revision % 2 === 0 ? 'granted' : 'denied' } }, { 'if-match': `"${String(revision)}"`, 'verification-token': token })
const kidOf = (token: string): string => (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid
const publishedKids = async (): Promise<string[]> => (await service.call<{ keys: JWK[] }>('GET', '/.well-known/jwks.json')).body.keys.map(({ kid }) => kid!)

/** Seal keys of a service that was given none lie in its directory; they are rotated as `SEAL_KEYS` is, the new one first. */
async function useSealKeys (choose: (keys: Record<string, string>) => Record<string, string>): Promise<void> {
  const file = join(service.dataDir, 'keys', 'development.json')
  const stored = JSON.parse(await readFile(file, 'utf8')) as { seal_keys: Record<string, string> }
  await writeFile(file, JSON.stringify({ ...stored, seal_keys: choose(stored.seal_keys) }))
}

let secret = ''
const verifyNow = async (): Promise<Answer> => {
  pass(60_000)
  const { body } = await call('POST', 'verification/challenges', { purpose: 'privacy.update' })
  return await call('POST', `verification/challenges/${String(body['id'])}/verify`, { method: 'totp', code: await generate({ secret, epoch: Math.floor(Date.now() / 1000) }) })
}

t.test('a token outlives the rotation of the key that signed it, until that key is gone', async t => {
  const [before, left] = [await service.verify(person.token, person.email, 'privacy.update'), await service.verify(person.token, person.email, 'privacy.update')]
  t.equal(kidOf(before), 'first')
  await useKeys(second, first)
  await service.restart()
  t.same(await publishedKids(), ['second', 'first'])
  t.equal((await change(before, 0)).status, 200)
  const after = await service.verify(person.token, person.email, 'privacy.update')
  t.equal(kidOf(after), 'second', 'new ones are signed by the new key')

  await useKeys(second)
  await service.restart()
  t.same(await publishedKids(), ['second'])
  t.match(await change(left, 1), { status: 401, body: { type: '/problems/verification-required' } })
  t.equal((await change(after, 1)).status, 200)
})

t.test('a token that was spent before a rotation stays spent', async t => {
  const token = await service.verify(person.token, person.email, 'privacy.update')
  t.equal((await change(token, 2)).status, 200)
  await useKeys(first, second)
  await service.restart()
  t.match(await change(token, 3), { status: 401, body: { type: '/problems/verification-spent' } })
})

t.test('after the seal keys were rotated an authenticator is read, and sealed under the new key when it is used', async t => {
  const token = await service.verify(person.token, person.email, 'two_step.enroll')
  const started = (await call('POST', 'me/two-step/totp', undefined, { 'verification-token': token })).body
  secret = started['secret'] as string
  const code = await generate({ secret, epoch: Math.floor(Date.now() / 1000) })
  t.equal((await call('POST', `me/two-step/totp/${String(started['enrollment_id'])}/confirm`, { code })).status, 200)
  t.match(await service.redis.hget(security, 'totp'), /^dev\./)

  await useSealKeys(keys => ({ rotated: randomBytes(32).toString('base64'), ...keys }))
  await service.restart()
  t.match(await service.redis.hget(security, 'totp'), /^dev\./, 'the start alone changes nothing')
  t.equal((await verifyNow()).status, 200)
  const sealed = await service.redis.hget(security, 'totp')
  t.match(sealed, /^rotated\./)
  t.equal((await verifyNow()).status, 200)
  t.equal(await service.redis.hget(security, 'totp'), sealed, 'once is enough')
})

t.test('then the old key can go', async t => {
  await useSealKeys(({ dev: _, ...keys }) => keys)
  await service.restart()
  t.equal((await verifyNow()).status, 200)
})

t.test('an authenticator that is confirmed after a rotation is sealed under the new key', async t => {
  const bob = await signIn(service, 'bob')
  const token = await service.verify(bob.token, bob.email, 'two_step.enroll')
  const { body } = await service.call('POST', '/v1/me/two-step/totp', { token: bob.token, headers: { 'verification-token': token } })
  await useSealKeys(keys => ({ newest: randomBytes(32).toString('base64'), ...keys }))
  await service.restart()
  const code = await generate({ secret: body['secret'] as string, epoch: Math.floor(Date.now() / 1000) })
  t.equal((await service.call('POST', `/v1/me/two-step/totp/${String(body['enrollment_id'])}/confirm`, { token: bob.token, body: { code } })).status, 200)
  t.match(await service.redis.hget(keyIn(accountPartition('bob'), 'security', 'bob'), 'totp'), /^newest\./)
})

t.test('a secret whose key is missing costs no attempt, locks nobody, and is told of', async t => {
  const carol = await signIn(service, 'carol')
  const token = await service.verify(carol.token, carol.email, 'two_step.enroll')
  const { body: pending } = await service.call('POST', '/v1/me/two-step/totp', { token: carol.token, headers: { 'verification-token': token } })
  const { body: challenge } = await call('POST', 'verification/challenges', { purpose: 'privacy.update' })
  const file = join(service.dataDir, 'keys', 'development.json')
  const kept = await readFile(file, 'utf8')
  await useSealKeys(() => ({ stranger: randomBytes(32).toString('base64') }))
  await service.restart()
  const unavailable = { status: 503, body: { type: '/problems/verification-unavailable' } }
  for (let attempt = 0; attempt < 6; attempt++) {
    t.match(await call('POST', `verification/challenges/${String(challenge['id'])}/verify`, { method: 'totp', code: '123456' }), unavailable)
    t.match(await service.call('POST', `/v1/me/two-step/totp/${String(pending['enrollment_id'])}/confirm`, { token: carol.token, body: { code: '123456' } }), unavailable)
  }
  t.match(service.logs.join(''), /"what":"secret-unreadable"/)
  await writeFile(file, kept)
  await service.restart()
  t.equal((await call('GET', `verification/challenges/${String(challenge['id'])}`)).body['attempts_remaining'], 5)
  t.equal((await call('GET', 'me/security')).body['locked_until'], undefined)
  t.match(await service.call('POST', `/v1/me/two-step/totp/${String(pending['enrollment_id'])}/confirm`, { token: carol.token, body: { code: await generate({ secret: pending['secret'] as string, epoch: Math.floor(Date.now() / 1000) }) } }), { status: 200 })
})

t.test('two keys of one kid stop the start', async t => {
  await useKeys(first, { ...second, kid: 'first' })
  await t.rejects(service.restart(), { message: /^VERIFICATION_KEYS_FILE .* has two keys with the kid "first"$/ })
  await useKeys(second)
  await service.restart()
})

t.test('a keys file that is gone stops the start, and the keys made for development do not stand in', async t => {
  await rm(keysFile)
  await t.rejects(service.restart(), { message: /^VERIFICATION_KEYS_FILE .* cannot be read as JSON$/ })
  await useKeys(second)
  await service.restart()
  t.same(await publishedKids(), ['second'])
})
