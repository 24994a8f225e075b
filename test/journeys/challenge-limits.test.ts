import t from 'tap'
import { signIn, type Answer, type Person } from '../support/api.ts'
import { passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient } from '../support/two-step.ts'

const pass = passTime(t)
// Without limits on sending, so that those on challenges are met alone.
const service = await startTestService(t, { RATE_LIMITS: 'on', EMAIL_RESEND_SECONDS: '0', EMAIL_CODES_PER_HOUR: '0', EMAIL_CODES_PER_DAY: '0' })
const { protect } = makeTwoStepClient(service, pass)

const open = async (person: Person): Promise<Answer> => await service.call('POST', '/v1/verification/challenges', { token: person.token, body: { purpose: 'privacy.update' } })
const giveUp = async (person: Person, id: unknown): Promise<Answer> => await service.call('DELETE', `/v1/verification/challenges/${String(id)}`, { token: person.token })

t.test('ten challenges can be open at once', async t => {
  const person = await signIn(service, 'ten')
  const opened = await Promise.all(Array.from({ length: 15 }, async () => await open(person)))
  t.same(opened.map(({ status }) => status).sort(), [...Array<number>(10).fill(201), ...Array<number>(5).fill(429)])
  const refused = await open(person)
  t.match(refused, { status: 429, body: { type: '/problems/too-many-challenges' } })
  t.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
  t.equal((await open(await signIn(service, 'other'))).status, 201, 'each account has its own ten')

  t.equal((await giveUp(person, opened.find(({ status }) => status === 201)!.body['id'])).status, 204)
  t.equal((await open(person)).status, 201, 'one that is given up makes room')
  t.equal((await open(person)).status, 429)
  pass(15 * 60_000)
  t.equal((await open(person)).status, 201, 'and so does one that has expired')
})

t.test('thirty challenges can be opened in an hour', async t => {
  const person = await signIn(service, 'thirty')
  for (let opened = 0; opened < 30; opened++) t.equal((await giveUp(person, (await open(person)).body['id'])).status, 204)
  const refused = await open(person)
  t.match(refused, { status: 429, body: { type: '/problems/too-many-challenges' } })
  t.ok(Number(refused.headers.get('retry-after')) > 3500)
  pass(3_600_000)
  t.equal((await open(person)).status, 201)
})

t.test('a challenge without attempts makes room', async t => {
  const person = await signIn(service, 'exhausted')
  const opened = await Promise.all(Array.from({ length: 10 }, async () => await open(person)))
  t.equal((await open(person)).status, 429)
  for (let attempt = 0; attempt < 5; attempt++) {
    t.equal((await service.call('POST', `/v1/verification/challenges/${String(opened[0]!.body['id'])}/verify`, { token: person.token, body: { method: 'email', code: '0000000' } })).status, 400)
  }
  t.equal((await open(person)).status, 429, 'what is no code costs nothing')
  const code = await service.mailedCode(person.email)
  for (let attempt = 0; attempt < 5; attempt++) {
    const { status } = await service.call('POST', `/v1/verification/challenges/${String(opened[0]!.body['id'])}/verify`, { token: person.token, body: { method: 'email', code: code === '000000' ? '000001' : '000000' } })
    t.equal(status, 422)
  }
  t.equal((await open(person)).status, 201)
})

t.test('so do those that a change of factor has ended', async t => {
  const person = await protect('reset')
  for (let opened = 0; opened < 10; opened++) t.equal((await open(person)).status, 201)
  t.equal((await open(person)).status, 429)
  const admin = await service.token({ sub: 'support', scope: 'security:admin', expires_in: 86_400 })
  t.equal((await service.call('POST', '/v1/admin/accounts/reset/two-step/reset', { token: admin, body: { reason: 'lost the phone' } })).status, 204)
  t.equal((await open(person)).status, 201)
})
