import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generate } from 'otplib'
import t from 'tap'
import { signIn, type Answer } from '../support/api.ts'
import { passTime, startTestService } from '../support/service.ts'

const pass = passTime(t)
// Codes of ten digits, which no number that is stored is by chance.
const service = await startTestService(t, { EMAIL_CODE_DIGITS: '10' })
const ada = await signIn(service, 'ada')

/** Every command that reaches Redis, those of scripts included. */
const commands: string[] = []
const monitor = await service.redis.monitor()
t.teardown(() => { monitor.disconnect() })
monitor.on('monitor', (_time: string, args: string[]) => { commands.push(args.join(' ')) })

const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  await service.call(method, `/v1/${path}`, { token: ada.token, headers, ...(body === undefined ? {} : { body }) })
const open = async (purpose: string): Promise<string> => (await call('POST', 'verification/challenges', { purpose })).body['id'] as string
const verify = async (id: string, method: string, code: string): Promise<string> => (await call('POST', `verification/challenges/${id}/verify`, { method, code })).body['verification_token'] as string

/** Every key of Redis with everything in it. */
async function dump (): Promise<string> {
  const { redis } = service
  const found: unknown[] = []
  for await (const keys of redis.scanStream({ count: 500 })) {
    for (const key of keys as string[]) {
      const read: Partial<Record<string, () => Promise<unknown>>> = {
        string: async () => await redis.get(key),
        hash: async () => await redis.hgetall(key),
        list: async () => await redis.lrange(key, 0, -1),
        set: async () => await redis.smembers(key),
        zset: async () => await redis.zrange(key, '0', '-1'),
        stream: async () => await redis.xrange(key, '-', '+')
      }
      const type = await redis.type(key)
      if (type === 'none') continue // Gone since it was listed.
      const readType = read[type]
      if (readType === undefined) throw new Error(`a key of a type that is not searched: ${type}`)
      found.push(key, await readType())
    }
  }
  return JSON.stringify(found)
}

/** All that lies in the service's directory, Redis's own log of writes among it. */
async function files (): Promise<string> {
  const found = await readdir(service.dataDir, { recursive: true, withFileTypes: true })
  const texts = await Promise.all(found.filter(entry => entry.isFile()).map(async entry => await readFile(join(entry.parentPath, entry.name), 'latin1').catch(() => '')))
  return texts.join('\n')
}

const secrets: Record<string, string> = {}
const forms = (secret: string): string[] => [secret, secret.toLowerCase(), secret.replaceAll('-', ''), Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex')]
const shownIn = (text: string): string[] => Object.entries(secrets).filter(([, secret]) => forms(secret).some(form => text.includes(form))).map(([name]) => name)
const told: string[] = []

t.test('a whole journey, searched while its codes are live', async t => {
  const emailed = async (name: string, purpose: string): Promise<string> => {
    const { body } = await call('POST', 'verification/challenges', { purpose })
    const id = body['id'] as string
    // Without an authenticator the code is on its way already.
    if (body['methods'].length > 1) await call('POST', `verification/challenges/${id}/email`)
    secrets[`the code mailed ${name}`] = await service.mailedCode(ada.email)
    t.same(shownIn(await dump()), [], `a live code: ${name}`)
    return secrets[`token ${name}`] = await verify(id, 'email', secrets[`the code mailed ${name}`]!)
  }
  const enrolling = await call('POST', 'me/two-step/totp', undefined, { 'verification-token': await emailed('to enrol', 'two_step.enroll') })
  const secret = secrets['the authenticator\'s secret'] = enrolling.body['secret'] as string
  t.same(shownIn(await dump()), [], 'a pending enrolment')
  const codeNow = async (): Promise<string> => await generate({ secret, epoch: Math.floor(Date.now() / 1000) })
  const confirmed = await call('POST', `me/two-step/totp/${String(enrolling.body['enrollment_id'])}/confirm`, { code: await codeNow() })
  for (const [index, code] of (confirmed.body['backup_codes'] as string[]).entries()) secrets[`backup code ${String(index)}`] = code
  const backupCode = secrets['backup code 3']!

  pass(60_000)
  secrets['token by authenticator'] = await verify(await open('privacy.update'), 'totp', await codeNow())
  t.equal((await call('PATCH', 'me/privacy', { account: { diagnostics: 'granted' } }, { 'if-match': '"0"', 'verification-token': secrets['token by authenticator'] })).status, 200)
  secrets['token by backup code'] = await verify(await open('backup_codes.regenerate'), 'backup_code', backupCode)
  const made = await call('POST', 'me/two-step/backup-codes', undefined, { 'verification-token': secrets['token by backup code'] })
  for (const [index, code] of (made.body['codes'] as string[]).entries()) secrets[`new backup code ${String(index)}`] = code

  // What is refused is where a value is most easily quoted.
  const id = await open('privacy.update')
  const refusals = [
    await call('POST', `verification/challenges/${id}/verify`, { method: 'backup_code', code: backupCode }),
    await call('POST', `verification/challenges/${id}/verify`, { method: 'totp', code: backupCode }),
    await call('POST', `verification/challenges/${id}/verify`, { method: backupCode, code: secret }),
    await call('PATCH', 'me/privacy', { account: {} }, { 'if-match': '"0"', 'verification-token': secrets['token by authenticator'] }),
    await call('DELETE', 'me/two-step', undefined, { 'verification-token': secrets['token by backup code'] })
  ]
  for (const { status, body } of refusals) {
    t.ok(status >= 400 && status < 500, String(status))
    told.push(JSON.stringify(body))
  }
  t.equal((await call('DELETE', 'me/two-step', undefined, { 'verification-token': await emailed('to disable', 'two_step.disable') })).status, 202)
  for (const path of ['me/security', 'me/security/events', 'me/privacy', 'me/privacy/history']) told.push(JSON.stringify((await call('GET', path)).body))
  await sleep(500) // For the letters of it all.
  t.equal(Object.values(secrets).filter(value => typeof value === 'string' && value.length >= 10).length, 27, 'two mailed codes, one secret, four tokens, twenty backup codes')
})

t.test('nothing secret was shown to Redis, in any command', t => {
  t.ok(commands.length > 100)
  t.ok(commands.some(command => command.includes('assent:{')))
  t.same(shownIn(commands.join('\n')), [])
  t.end()
})

t.test('nor is any of it in Redis, in a file, in ClickHouse, in an answer or in the log', async t => {
  t.same(shownIn(await dump()), [], 'Redis')
  t.same(shownIn(await files()), [], 'files')
  for (const table of ['events', 'consent_ledger', 'failed_events', 'security_events']) t.same(shownIn(JSON.stringify(await service.sql(`SELECT * FROM ${table}`))), [], table)
  t.same(shownIn(told.join('\n')), [], 'answers')
  t.ok(service.logs.length > 0)
  t.same(shownIn(service.logs.join('\n')), [], 'log')
})

t.test('the search finds what is there', async t => {
  await service.redis.hset('planted', 'field', `before ${secrets['backup code 5']!.replaceAll('-', '')} after`)
  t.same(shownIn(await dump()), ['backup code 5'])
  await service.redis.del('planted')
  const letters = JSON.stringify((await service.call('GET', `/dev/inbox?to=${ada.email}`)).body)
  t.same(shownIn(letters), ['the code mailed to enrol', 'the code mailed to disable'], 'the person\'s inbox has the mailed codes, and nothing else')
})
