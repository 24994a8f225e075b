import t from 'tap'
import type { SecurityEvent } from '../../src/domain/security-event.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { signIn, type Person } from '../support/api.ts'
import { eventually, passTime, startTestService, uuid } from '../support/service.ts'
import { codeOf, makeTwoStepClient, wrongCodeOf } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t, { RECOVERY_DELAY: '24h' })
const { call, confirm, enrol, letters, nextCode, open, pay, protect, prove, verify } = makeTwoStepClient(service, pass)

interface Logged { event_id: string, kind: string, at: string, actor: string, reason: string | null, remaining: number | null, effective_at: string | null }
const log = async (person: Pick<Person, 'token'>, query = ''): Promise<{ events: Logged[], next_cursor?: string }> =>
  (await service.call<{ events: Logged[] }>('GET', `/v1/me/security/events${query}`, { token: person.token })).body

/** The newest event, once it is of a kind. */
async function newest (person: Person, kind: string): Promise<Logged> {
  await eventually(`${kind} is in the log`, async () => (await log(person)).events[0]?.kind === kind)
  return (await log(person)).events[0]!
}
const mailed = async (person: Pick<Person, 'email'>, subject: string): Promise<void> => {
  await eventually(`a letter came: ${subject}`, async () => (await letters(person)).some(letter => letter.subject === subject))
}

t.test('each change of how an account is protected is logged and mailed', async t => {
  const ada = await protect('ada')
  t.match(await newest(ada, 'two_step_enabled'), { event_id: String, at: /Z$/, actor: 'user', reason: null, remaining: null, effective_at: null })
  await mailed(ada, '2-step verification is on')

  await prove(ada, 'privacy.update', { method: 'email' })
  await newest(ada, 'email_used_instead')
  await mailed(ada, 'An e-mailed code was used')

  await prove(ada, 'privacy.update', { method: 'backup_code', code: ada.backupCodes[0]! })
  t.equal((await newest(ada, 'backup_code_used')).remaining, 9)
  await mailed(ada, 'A backup code was used')

  await call(ada, 'POST', '/v1/me/two-step/backup-codes', await pay(ada, 'backup_codes.regenerate', { method: 'totp' }))
  await newest(ada, 'backup_codes_regenerated')
  await mailed(ada, 'You have new backup codes')

  const { body: { enrollment_id: id, secret } } = await call(ada, 'POST', '/v1/me/two-step/totp', await pay(ada, 'two_step.replace', { method: 'totp' }))
  await confirm(ada, id, await codeOf(secret))
  await newest(ada, 'two_step_replaced')
  await mailed(ada, 'Your authenticator app was replaced')

  pass(1000)
  const { body: { effective_at: effectiveAt } } = await call(ada, 'DELETE', '/v1/me/two-step', await pay(ada, 'two_step.disable', { method: 'email' }))
  t.equal((await newest(ada, 'two_step_disable_scheduled')).effective_at, effectiveAt)
  await mailed(ada, '2-step verification will be turned off')

  pass(1000)
  await call(ada, 'DELETE', '/v1/me/two-step/pending-disable')
  await newest(ada, 'two_step_disable_cancelled')
  await mailed(ada, '2-step verification stays on')

  await call(ada, 'DELETE', '/v1/me/two-step', await pay({ ...ada, secret }, 'two_step.disable', { method: 'totp' }))
  t.equal((await newest(ada, 'two_step_disabled')).actor, 'user')
  await mailed(ada, '2-step verification is off')

  t.same((await log(ada)).events.map(({ kind }) => kind).filter(kind => kind !== 'email_used_instead').reverse(), [
    'two_step_enabled', 'backup_code_used', 'backup_codes_regenerated', 'two_step_replaced', 'two_step_disable_scheduled', 'two_step_disable_cancelled', 'two_step_disabled'
  ])
  for (const { subject, text } of await letters(ada)) {
    t.notMatch(subject, /\d{6}/)
    for (const code of [secret, ada.secret, ...ada.backupCodes]) t.notOk(text.includes(code))
  }
})

t.test('what a delay ends, and a lock, is told as the system\'s doing', async t => {
  const bob = await protect('bob')
  const { body: { id } } = await open(bob, 'privacy.update')
  const wrong = await wrongCodeOf(bob.secret)
  for (let attempt = 0; attempt < 5; attempt++) await verify(bob, id, 'totp', wrong)
  const locked = await newest(bob, 'account_locked')
  t.equal(locked.actor, 'system')
  t.ok(Date.parse(locked.effective_at!) > Date.parse(locked.at))
  await mailed(bob, 'Too many wrong codes')

  pass(31_000)
  await call(bob, 'DELETE', '/v1/me/two-step', await pay(bob, 'two_step.disable', { method: 'email' }))
  pass(86_400_000)
  await call(bob, 'GET', '/v1/me/security')
  t.equal((await newest(bob, 'two_step_disabled')).actor, 'system')
  await mailed(bob, '2-step verification is off')
})

t.test('letters are in the person\'s language', async () => {
  const email = 'clara@example.com'
  const token = await service.token({ sub: 'clara', email, locale: 'de-AT', expires_in: 31_536_000 })
  const clara: Person = { ...await signIn(service, 'unused'), token, email }
  const { body: { enrollment_id: id, secret } } = await enrol(clara)
  const { body } = await confirm(clara, id, await codeOf(secret))
  await mailed(clara, 'Bestätigung in zwei Schritten ist an')
  await prove(clara, 'privacy.update', { method: 'backup_code', code: body['backup_codes'][0] })
  await mailed(clara, 'Ein Ersatzcode wurde verwendet')
  await verify(clara, (await open(clara, 'two_step.disable')).body['id'], 'totp', await nextCode(secret)).then(async answer =>
    await call(clara, 'DELETE', '/v1/me/two-step', answer.body['verification_token']))
  await mailed(clara, 'Bestätigung in zwei Schritten ist aus')
})

t.test('few backup codes are warned of', async t => {
  const dave = await protect('dave')
  for (const code of dave.backupCodes.slice(0, 7)) t.equal((await prove(dave, 'privacy.update', { method: 'backup_code', code })).status, 200)
  await eventually('seven letters came', async () => (await letters(dave)).filter(({ subject }) => subject === 'A backup code was used').length === 7)
  const warnings = (await letters(dave)).filter(({ text }) => text.includes('Few are left'))
  t.equal(warnings.length, 1)
  t.match(warnings[0]!.text, /3 are left/)
})

t.test('events of one millisecond are each on one page, wherever a page ends', async t => {
  const frida = await signIn(service, 'frida')
  const at = Date.now()
  const events = Array.from({ length: 23 }, (_, index): SecurityEvent => ({
    event_id: uuid(), account_id: 'frida', kind: 'account_unlocked', at: at - Math.floor(index / 10), actor: 'admin', actor_subject: null, reason: null, remaining: null, effective_at: null, mail_to: null
  }))
  for (const event of events) await service.redis.xadd(keyIn(accountPartition('frida'), 'security-log'), '*', 'entry', JSON.stringify(event))
  await eventually('all are in the log', async () => (await log(frida)).events.length === events.length)
  const whole = (await log(frida)).events
  t.same(whole.map(event => event.at), events.map(event => new Date(event.at).toISOString()), 'newest first')
  for (const limit of [1, 4, 7]) {
    const read: string[] = []
    let cursor = ''
    do {
      const page = await log(frida, `?limit=${String(limit)}${cursor}`)
      read.push(...page.events.map(event => event.event_id))
      cursor = page.next_cursor === undefined ? '' : `&cursor=${page.next_cursor}`
    } while (cursor !== '')
    t.same(read, whole.map(event => event.event_id), `pages of ${String(limit)}`)
  }
})

t.test('people read their own log only, page by page', async t => {
  const erin = await protect('erin')
  await prove(erin, 'privacy.update', { method: 'backup_code', code: erin.backupCodes[0]! })
  await newest(erin, 'backup_code_used')
  const first = await log(erin, '?limit=1')
  t.same(first.events.map(({ kind }) => kind), ['backup_code_used'])
  const second = await log(erin, `?limit=1&cursor=${String(first.next_cursor)}`)
  t.same(second.events.map(({ kind }) => kind), ['two_step_enabled'])
  t.same((await log(await signIn(service, 'mallory'))).events, [])
  t.match(await service.call('GET', `/v1/me/security/events?cursor=${String(first.next_cursor)}`, { token: (await signIn(service, 'mallory')).token }), { status: 400 })
  for (const query of ['?limit=0', '?limit=x', '?cursor=garbage']) t.equal((await service.call('GET', `/v1/me/security/events${query}`, { token: erin.token })).status, 400, query)
})
