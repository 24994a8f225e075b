import t from 'tap'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient, type TwoStepPerson } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { call, letters, open, pay, protect, prove, status, verify } = makeTwoStepClient(service, pass)

const use = async (person: TwoStepPerson, code: string) => await prove(person, 'privacy.update', { method: 'backup_code', code })
const regenerate = async (person: TwoStepPerson, token?: string) => await call(person, 'POST', '/v1/me/two-step/backup-codes', token)

t.test('each code is good once, in any order, and few that are left are called few', async t => {
  const ada = await protect('ada')
  for (const [used, slot] of [7, 0, 9, 3, 1, 8, 2, 6, 4, 5].entries()) {
    const remaining = 9 - used
    t.match(await use(ada, ada.backupCodes[slot]!), { status: 200, body: { backup_codes: { remaining, low: remaining <= 3 } } })
    t.match(await status(ada), { backup_codes: { remaining, low: remaining <= 3 } })
    t.match(await use(ada, ada.backupCodes[slot]!), { status: 422, body: { type: '/problems/invalid-code' } })
  }
  t.equal((await prove(ada, 'privacy.update', { method: 'totp' })).status, 200, 'the app is not touched by that')
})

t.test('a code may be typed as people type', async t => {
  const bob = await protect('bob')
  const misread = (code: string): string => code.replaceAll('0', 'O').replaceAll('1', 'l')
  const fullWidth = (code: string): string => Array.from(code, symbol => symbol === '-' ? symbol : String.fromCodePoint(symbol.codePointAt(0)! + 0xfee0)).join('')
  const ways: Array<(code: string) => string> = [
    code => misread(code), code => misread(code).replaceAll('l', 'I'), code => code.toLowerCase(), code => misread(code).toLowerCase(), code => code.replaceAll('-', ''),
    code => ` ${code.replaceAll('-', ' ')} `, code => code.replaceAll('-', '–'), fullWidth, code => Array.from(code.replaceAll('-', '')).join(' ')
  ]
  for (const [index, way] of ways.entries()) t.equal((await use(bob, way(bob.backupCodes[index]!))).status, 200, way(bob.backupCodes[index]!))
})

t.test('a code is its own person\'s, and almost right is wrong', async t => {
  const [carol, mallory] = [await protect('carol'), await protect('mallory')]
  t.match(await use(mallory, carol.backupCodes[0]!), { status: 422 })
  const code = carol.backupCodes[0]!
  t.match(await use(carol, `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}`), { status: 422 })
  t.match(await use(carol, `${carol.backupCodes[1]!.slice(0, 1)}${code.slice(1)}`), { status: 422 }, 'one code under the sign of another')
  t.equal((await use(carol, code)).status, 200)
})

t.test('of 20 uses of a code at once, on as many challenges, one succeeds', async t => {
  const dave = await protect('dave')
  const ids = await Promise.all(Array.from({ length: 20 }, async () => (await open(dave, 'privacy.update')).body['id'] as string))
  const statuses = (await Promise.all(ids.map(async id => await verify(dave, id, 'backup_code', dave.backupCodes[2]!)))).map(answer => answer.status)
  t.equal(statuses.filter(status => status === 200).length, 1)
  for (const status of statuses) t.ok([200, 422, 429].includes(status))
  t.equal((await status(dave))['backup_codes'].remaining, 9)
})

for (const method of ['totp', 'backup_code'] as const) {
  t.test(`with a proof by ${method}, new codes take the place of all old ones`, async t => {
    const person = await protect(`anew-${method}`)
    const older = await pay(person, 'two_step.disable', { method: 'totp' })
    const token = await pay(person, 'backup_codes.regenerate', method === 'totp' ? { method } : { method, code: person.backupCodes[0]! })
    const answer = await regenerate(person, token)
    t.equal(answer.status, 201)
    t.same(Object.keys(answer.body).sort(), ['codes', 'generated_at'])
    const codes = answer.body['codes'] as string[]
    t.equal(new Set([...codes, ...person.backupCodes]).size, 20)
    t.match(await status(person), { backup_codes: { remaining: 10, low: false, generated_at: answer.body['generated_at'] } })
    t.match(await use(person, person.backupCodes[1]!), { status: 422 }, 'an old one')
    t.equal((await use(person, codes[1]!)).status, 200)
    t.equal((await prove(person, 'privacy.update', { method: 'totp' })).status, 200, 'the app stays')
    t.match(await regenerate(person, token), { status: 401, body: { type: '/problems/verification-spent' } })
    t.match(await call(person, 'DELETE', '/v1/me/two-step', older), { status: 401, body: { type: '/problems/verification-required' } }, 'a token from before')
  })
}

t.test('an e-mailed code does not make new codes', async t => {
  const erin = await protect('erin')
  const { body: { id } } = await open(erin, 'backup_codes.regenerate')
  t.match(await call(erin, 'POST', `/v1/verification/challenges/${String(id)}/email`), { status: 403, body: { type: '/problems/method-too-weak' } })
  t.match(await verify(erin, id, 'email', '123456'), { status: 403, body: { type: '/problems/method-too-weak' } })
  t.match(await regenerate(erin, await pay(erin, 'privacy.update', { method: 'email' })), { status: 403, body: { type: '/problems/verification-mismatch' } })
  t.match(await regenerate(erin), { status: 401, body: { type: '/problems/verification-required' } })
  t.equal((await use(erin, erin.backupCodes[0]!)).status, 200, 'the old ones are still good')
})

t.test('how many are left is right for each, also when several are used at once', async t => {
  const frank = await protect('frank')
  const ids = await Promise.all(Array.from({ length: 3 }, async () => (await open(frank, 'privacy.update')).body['id'] as string))
  const answers = await Promise.all(ids.map(async (id, index) => await verify(frank, id, 'backup_code', frank.backupCodes[index]!)))
  t.same(answers.map(({ body }) => body['backup_codes'].remaining).sort(), [7, 8, 9])
  const logged = async (): Promise<unknown[]> => (await call(frank, 'GET', '/v1/me/security/events')).body['events'].filter(({ kind }: { kind: string }) => kind === 'backup_code_used')
  t.same((await logged()).map(event => (event as { remaining: number }).remaining).sort(), [7, 8, 9])
  await eventually('the letters say so', async () => {
    const told = (await letters(frank)).flatMap(({ text }) => /([0-9]+) are left/.exec(text)?.[1] ?? [])
    return told.sort().join() === '7,8,9'
  })
})

t.test('other letters that become its symbols as capitals make no code', async t => {
  const grace = await protect('grace')
  const { body: { id } } = await open(grace, 'privacy.update')
  for (const typed of ['ß'.repeat(8), 'ﬀ'.repeat(8) + 'ß'.repeat(8), 'ı'.repeat(16)]) t.equal((await verify(grace, id, 'backup_code', typed)).status, 400, typed)
  t.equal((await call(grace, 'GET', `/v1/verification/challenges/${String(id)}`)).body['attempts_remaining'], 5)
})
