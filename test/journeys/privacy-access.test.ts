import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { signIn, type Answer } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, startTestService } from '../support/service.ts'
import { joinTeam } from '../support/team.ts'

const service = await startTestService(t)
const team = await joinTeam(service)
const check = { purpose: 'diagnostics', product: 'cad', release: 2026, accounts: ['ada'] }
const questions: Array<[path: string, body?: Record<string, unknown>]> = [
  ['accounts/ada'], ['accounts'], ['consents/check', check], ['ledger'], ['stats/consents?purpose=diagnostics'], ['stats/decisions']
]
const call = async (path: string, body: unknown, token: string | undefined, purposeOfUse?: string): Promise<Answer> =>
  await service.call(body === undefined ? 'GET' : 'POST', `/v1/privacy/${path}`, { token, body, headers: purposeOfUse === undefined ? {} : { 'purpose-of-use': purposeOfUse } })
const instanceOf = (path: string): string => `/v1/privacy/${path.split('?')[0]!}`

t.test('only the team gets an answer, and only when it says why', async t => {
  const person = await signIn(service, 'mallory')
  const others = [person.token, await service.token({ device_id: 'pc-1' }), await service.token({ sub: 'mallory', scope: 'security:admin verification:delegate' }), await service.token({ sub: 'mallory', scope: 'privacy' })]
  const admin = await service.token({ sub: 'root', scope: 'privacy:admin' })
  for (const [path, body] of questions) {
    isProblem(t, await call(path, body, undefined, 'request 1'), 401, 'invalid-token', instanceOf(path))
    isProblem(t, await call(path, body, 'garbage', 'request 1'), 401, 'invalid-token', instanceOf(path))
    for (const token of others) isProblem(t, await call(path, body, token, 'request 1'), 403, 'insufficient-scope', instanceOf(path))
    isProblem(t, await call(path, body, team.token), 400, 'invalid-request', instanceOf(path), `${path} without a reason`)
    isProblem(t, await call(path, body, team.token, ' '), 400, 'invalid-request', instanceOf(path), `${path} with an empty reason`)
    for (const token of [team.token, admin]) t.equal((await call(path, body, token, 'request 1')).status, 200, path)
  }
})

t.test('answers are what the document says', async t => {
  const ada = await signIn(service, 'ada', 'diagnostics')
  await service.change(ada.token, ada.email, { devices: { [ada.deviceId]: { diagnostics: 'denied' } } })
  await service.post(ada.token)
  const { body: document } = await service.call('GET', '/openapi.json')
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  for (const [path, body] of [...questions, ['stats/decisions?group_by=reason,product,release&interval=week'], ['accounts?limit=1'], ['ledger?limit=1']] as typeof questions) {
    const operation = document['paths'][instanceOf(path).replace('/ada', '/{account_id}')][body === undefined ? 'get' : 'post']
    t.strictSame(operation.security, [{ accessToken: ['privacy:read'] }, { accessToken: ['privacy:admin'] }], path)
    const answer = await team.ask(path, body)
    t.ok(ajv.validate(operation.responses['200'].content['application/json'].schema, answer.body), `${path}: ${ajv.errorsText()}`)
  }
})

t.test('every call is on record, refused or not, with who asked, what, and why', async t => {
  const reason = 'request 4712'
  await call('ledger?account_id=ada&limit=5', undefined, team.token, reason)
  await call('ledger?limit=0', undefined, team.token, reason)
  await call('ledger', undefined, undefined, reason)
  await call('ledger', undefined, await service.token({ sub: 'mallory', scope: 'settings' }), reason)
  await call('consents/check', check, team.token, reason)
  await call('consents/check', { ...check, purpose: 'nothing' }, team.token, reason)
  await call('accounts/ada', undefined, team.token)
  await call('stats/decisions?from=2026-02-01&to=2026-01-01', undefined, team.token, reason)
  const rows = async (): Promise<unknown[]> => await service.sql(`SELECT subject, method, path, query, status FROM access_log FINAL WHERE purpose_of_use = '${reason}' OR (path = '/v1/privacy/accounts/ada' AND purpose_of_use = '' AND status = 400) ORDER BY at`)
  await eventually('all are on record', async () => (await rows()).length >= 9)
  const on = (subject: string | null, method: string, path: string, query: string, status: number): unknown => ({ subject, method, path: `/v1/privacy/${path}`, query, status })
  const found = await rows()
  for (const row of [
    on('tess', 'GET', 'ledger', 'account_id=ada&limit=5', 200),
    on('tess', 'GET', 'ledger', 'limit=0', 400),
    on(null, 'GET', 'ledger', '', 401),
    on('mallory', 'GET', 'ledger', '', 403),
    on('tess', 'POST', 'consents/check', '', 200),
    on('tess', 'POST', 'consents/check', '', 422),
    on('tess', 'GET', 'accounts/ada', '', 400),
    on('tess', 'GET', 'stats/decisions', 'from=2026-02-01&to=2026-01-01', 422)
  ]) t.equal(found.filter(other => JSON.stringify(other) === JSON.stringify(row)).length >= 1, true, JSON.stringify(row))
})

const badTimes = ['', 'now', '2026-01-01', '2026-01-01T00:00:00', '2026-13-01T00:00:00Z', '1970-01-01T00:00:00Z', '9999-01-01T00:00:00Z', '1767225600000', '2026-01-01T00:00:00Z;', '%00']
const badLimits = ['', '0', '-1', '01', '1e2', '1e9', '1.5', 'abc', '1000000000', ' 1', '0x10', '1&limit=2', '%31%00']

t.test('every parameter of the wrong shape is named in a problem document', async t => {
  const bad: Array<[path: string, pointer: string]> = [
    ...['accounts', 'accounts/ada'].flatMap(path => ['as_of', 'known_at'].flatMap(name => badTimes.map((time): [string, string] => [`${path}?${name}=${time}`, `/${name}`]))),
    ...['from', 'to'].flatMap(name => badTimes.map((time): [string, string] => [`ledger?${name}=${time}`, `/${name}`])),
    ...['from', 'to'].flatMap(name => badTimes.filter(time => time !== '2026-01-01').map((time): [string, string] => [`stats/decisions?${name}=${time}`, `/${name}`])),
    ...['2026-02-30', '20260101', '1969-01-01', '9999-01-01'].map((day): [string, string] => [`stats/consents?purpose=diagnostics&from=${day}`, '/from']),
    ...['accounts', 'ledger'].flatMap(path => badLimits.map((limit): [string, string] => [`${path}?limit=${limit}`, '/limit'])),
    ['accounts?limit=1001', '/limit'],
    ['ledger?limit=201', '/limit'],
    ...['accounts', 'ledger'].flatMap(path => ['', 'x', '%00', 'ä', 'x'.repeat(4001), 'a&cursor=b'].map((cursor): [string, string] => [`${path}?cursor=${cursor}`, '/cursor'])),
    [`ledger?account_id=${'a'.repeat(256)}`, '/account_id'],
    ['ledger?account_id=', '/account_id'],
    ['ledger?account_id=a%00b', '/account_id'],
    ['ledger?account_id=a&account_id=b', '/account_id'],
    [`ledger?device_id=${'a'.repeat(129)}`, '/device_id'],
    ['ledger?device_id=a%20b', '/device_id'],
    ['ledger?decision=absent', '/decision'],
    ['ledger?decision=granted&decision=denied', '/decision'],
    ['ledger?purpose=', '/purpose'],
    [`ledger?purpose=${encodeURIComponent("x' OR 1")}`, '/purpose'],
    ['stats/consents', '/purpose'],
    ['stats/consents?purpose=diagnostics&interval=hour', '/interval'],
    ['stats/consents?purpose=diagnostics&scope=all', '/scope'],
    ['stats/decisions?group_by=', '/group_by'],
    ['stats/decisions?group_by=reason,count', '/group_by'],
    ['stats/decisions?group_by=reason,reason', '/group_by'],
    ['stats/decisions?group_by=reason, stage', '/group_by'],
    [`stats/decisions?group_by=${encodeURIComponent('reason FROM events --')}`, '/group_by'],
    ['stats/decisions?group_by=reason&group_by=stage', '/group_by'],
    ['stats/decisions?interval=', '/interval'],
    [`accounts/${'a'.repeat(256)}`, '/account_id'],
    ['accounts/a%00b', '/account_id'],
    ['accounts/a%0Ab', '/account_id'],
    ...['ledger', 'accounts', 'accounts/ada', 'stats/decisions'].flatMap(path => ['limit[]=1', 'x=1', '__proto__=1', 'Limit=1', 'constructor=1'].map((query): [string, string] => [`${path}?${query}`, '']))
  ]
  for (const [path, pointer] of bad) {
    const answer = await team.ask(path)
    isProblem(t, answer, 400, 'invalid-request', instanceOf(path), path)
    t.equal(answer.body['errors'][0].pointer, pointer, path)
    t.match(answer.body['errors'][0].detail, /\w/, path)
  }
})

t.test('an organisation has a name in plain text', async t => {
  const admin = await joinTeam(service, 'root', 'privacy:admin')
  for (const [name, status] of [['a%00', 400], ['a%0Ab', 400], ['a'.repeat(256), 400], ['%C3%BCn%C3%AF', 200]] as const) {
    const answer = await service.call('PUT', `/v1/privacy/organizations/${name}/policy`, { token: admin.token, body: {}, headers: { 'purpose-of-use': 'contract 7' } })
    t.match(answer, { status, ...(status === 400 ? { body: { errors: [{ pointer: '/org_id' }] } } : {}) }, name)
  }
})

t.test('an address that is not UTF-8 is refused', async t => {
  for (const text of ['%ED%A0%80', '%FF', '%', '%zz', 'a%C3']) {
    isProblem(t, await team.ask(`ledger?account_id=${text}`), 400, 'invalid-request', '/v1/privacy/ledger', text)
    t.ok((await team.ask(`accounts/${text}`)).status >= 400, text)
  }
})

t.test('every body of the wrong shape is a problem document', async t => {
  const bad: Array<[body: unknown, pointer: string]> = [
    [[], ''], ['[]', ''], ['null', ''], ['1', ''], [{}, '/purpose'],
    [{ ...check, accounts: [] }, '/accounts'],
    [{ ...check, accounts: 'ada' }, '/accounts'],
    [{ ...check, accounts: [''] }, '/accounts/0'],
    [{ ...check, accounts: ['ada', 7] }, '/accounts/1'],
    [{ ...check, accounts: ['a'.repeat(256)] }, '/accounts/0'],
    [{ ...check, accounts: ['a\nb'] }, '/accounts/0'],
    [{ ...check, accounts: Array.from({ length: 10_001 }, () => 'a') }, '/accounts'],
    [{ ...check, purpose: '' }, '/purpose'],
    [{ ...check, product: 'a b' }, '/product'],
    [{ ...check, release: '2026' }, '/release'],
    [{ ...check, release: 1 }, '/release'],
    [{ ...check, as_of: 1 }, '/as_of'],
    [{ ...check, known_at: 'yesterday' }, '/known_at'],
    [{ ...check, device_id: 'a/b' }, '/device_id'],
    [{ ...check, more: true }, '']
  ]
  for (const [body, pointer] of bad) {
    const answer = await team.ask('consents/check', body)
    isProblem(t, answer, 400, 'invalid-request', '/v1/privacy/consents/check', JSON.stringify(body).slice(0, 80))
    t.equal(answer.body['errors'][0].pointer, pointer, JSON.stringify(body).slice(0, 80))
  }
  const halves = JSON.stringify(check).replace('ada', '\\ud800')
  for (const body of ['', '{', halves, JSON.stringify({ ...check, accounts: ['a\0b'] }), JSON.stringify(check).replace('{', '{"purpose":"x",')]) {
    const answer = await team.ask('consents/check', body)
    t.equal(answer.status, 400, body)
    t.match(answer.body, { type: /invalid-(json|request)$/ })
  }
  t.match(await team.ask('consents/check', { ...check, accounts: Array.from({ length: 9000 }, (_, index) => String(index).padEnd(200, 'x')) }), { status: 413 })
})
