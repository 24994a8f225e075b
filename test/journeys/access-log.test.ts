import { createHash } from 'node:crypto'
import t from 'tap'
import { isProblem } from '../support/problems.ts'
import { head, sendRaw, type RawAnswer } from '../support/raw-http.ts'
import { eventually, startTestService, uuid } from '../support/service.ts'
import { joinTeam } from '../support/team.ts'

const service = await startTestService(t)
const team = await joinTeam(service)
const admin = await joinTeam(service, 'root', 'privacy:admin')
const partitions = Array.from({ length: 16 }, (_, partition) => `assent:{${String(partition)}}:access-log`)

/** Asks on a socket, since no client sends such addresses. */
async function ask (method: string, target: string, reason: string, token: string, ...more: string[]): Promise<RawAnswer> {
  const lines = ['Host: here', ...more, `Authorization: Bearer ${token}`, `Purpose-Of-Use: ${reason}`, 'Content-Length: 0', 'Connection: close']
  const [answer] = await sendRaw(service.service.url, head(`${method} ${target} HTTP/1.1`, ...lines))
  return answer!
}

/** The only row of a reason. */
async function rowOf (reason: string): Promise<Record<string, unknown>> {
  const rows = async (): Promise<Array<Record<string, unknown>>> => await service.sql(`SELECT subject, method, path, query, about, status FROM access_log FINAL WHERE purpose_of_use = '${reason}'`)
  await eventually(`${reason} is on record`, async () => (await rows()).length > 0)
  const found = await rows()
  t.equal(found.length, 1, 'once')
  return found[0]!
}

const unanswered: Array<[method: string, target: string, status: number, slug: string, ...headers: string[]]> = [
  ['DELETE', '/v1/privacy/accounts/ada', 405, 'method-not-allowed'],
  ['GET', '/v1/privacy/consents/check', 405, 'method-not-allowed'],
  ['OPTIONS', '/v1/privacy/ledger', 405, 'method-not-allowed'],
  ['PROPFIND', '/v1/privacy/ledger', 405, 'method-not-allowed'],
  ['GET', '/v1/privacy', 404, 'not-found'],
  ['GET', '/v1/privacy/nope', 404, 'not-found'],
  ['POST', '/v1/privacy/accounts/ada/', 404, 'not-found'],
  ['GET', '/v1/privacy/accounts/%zz', 404, 'not-found'],
  ['GET', '/v1/privacy/accounts/%ff', 404, 'not-found'],
  ['GET', '/v1/%70riv%61cy/nope', 404, 'not-found'],
  ['GET', 'http://elsewhere/v1/privacy/nope', 404, 'not-found'],
  ['GET', `/v1/privacy/accounts/${'a'.repeat(3000)}`, 414, 'uri-too-long'],
  ['GET', '/v1/privacy/ledger', 417, 'expectation-failed', 'Expect: bogus'],
  ['GET', '/v1/privacy/ledger', 400, 'invalid-request', 'Host: there']
]

t.test('a call that no route answers is on record like any other', async t => {
  for (const [method, target, status, slug, ...more] of unanswered) {
    const [known, unknown] = [uuid(), uuid()]
    isProblem(t, await ask(method, `${target}?limit=5`, known, team.token, ...more), status, slug, target, `${method} ${target.slice(0, 60)}`)
    t.strictSame(await rowOf(known), { subject: 'tess', method, path: target.slice(0, 1000), query: 'limit=5', about: '', status })
    isProblem(t, await ask(method, target, unknown, 'garbage', ...more), status, slug, target)
    t.match(await rowOf(unknown), { subject: null, status })
  }
})

t.test('what is not the team\'s leaves no row', async t => {
  for (const target of ['/v1/privacyx', '/v1/me/privacy', '/nope', '/%zz', '/v1/%zz/privacy']) await ask('GET', target, 'none of the team', team.token)
  await ask('GET', '/v1/privacy', 'the last', team.token)
  await rowOf('the last')
  await eventually('all there is has been stored', async () => (await Promise.all(partitions.map(async key => await service.redis.xlen(key)))).every(length => length === 0))
  t.equal(await service.count("access_log WHERE purpose_of_use = 'none of the team'"), 0)
})

t.test('a call whose body says whom it is about says so on record', async t => {
  const post = async (path: string, body: unknown, method = 'POST'): Promise<unknown> => {
    const reason = uuid()
    await service.call(method, `/v1/privacy/${path}`, { token: admin.token, body, headers: { 'purpose-of-use': reason } })
    const { about } = await rowOf(reason)
    return about === '' ? '' : JSON.parse(String(about))
  }
  const check = { purpose: 'diagnostics', product: 'cad', release: 2026, accounts: ['bob', 'ada', 'bob'] }
  const sum = createHash('sha256').update('bob\nada\nbob\n').digest('hex')
  t.strictSame(await post('consents/check', check), { purpose: 'diagnostics', product: 'cad', release: 2026, accounts: 3, accounts_sha256: sum })
  t.match(await post('consents/check', { ...check, purpose: 'nothing', device_id: 'pc-1' }), { purpose: 'nothing', device_id: 'pc-1', accounts_sha256: sum }, 'refused by a rule')
  t.strictSame(await post('erasures', { account_id: 'somebody', reason: 'asked for' }), { account_id: 'somebody' })
  t.strictSame(await post('erasures', { device_id: 'pc-9', reason: 'asked for' }), { device_id: 'pc-9' })
  t.strictSame(await post('exports', { format: 'csv', query: { account_id: 'ada', from: '2026-01-01T01:00:00+01:00' } }), { format: 'csv', query: { account_id: 'ada', from: '2026-01-01T00:00:00.000Z' } })
  t.strictSame(await post('organizations/acme/policy', { diagnostics: 'off' }, 'PUT'), { policy: { diagnostics: 'off' } })
  t.strictSame(await post('ledger/verify', { account_id: 'ada' }), { account_id: 'ada' })
  t.strictSame(await post('consents/check', { accounts: [7] }), '', 'of another shape: it is about nobody')
})

t.test('an answer that cannot be put on record is not given, whatever it would have been', async t => {
  const made = await admin.ask('exports', { format: 'csv' })
  const data = `exports/${made.body['id'] as string}/data`
  await eventually('the export is ready', async () => (await admin.ask(`exports/${made.body['id'] as string}`)).body['status'] === 'ready')
  await eventually('all there is has been stored', async () => (await Promise.all(partitions.map(async key => await service.redis.xlen(key)))).every(length => length === 0))
  for (const key of partitions) await service.redis.set(key, 'no stream')
  t.teardown(async () => { await service.redis.del(...partitions) })

  for (const path of ['accounts/ada', 'ledger?limit=0', 'nope', data]) {
    for (const token of [team.token, 'garbage']) {
      const answer = await service.call('GET', `/v1/privacy/${path}`, { token, headers: { 'purpose-of-use': 'request 1' } })
      isProblem(t, answer, 503, 'unavailable', `/v1/privacy/${path.split('?')[0]!}`, `${path} ${token.slice(0, 7)}`)
      t.match(Object.fromEntries(answer.headers), { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
      for (const name of ['www-authenticate', 'content-disposition', 'repr-digest']) t.equal(answer.headers.get(name), null, name)
    }
  }
  const refused = await ask('DELETE', '/v1/privacy/ledger', 'request 1', team.token)
  isProblem(t, refused, 503, 'unavailable', '/v1/privacy/ledger')
  t.equal(refused.headers.get('allow'), null)
  t.equal((await ask('HEAD', '/v1/privacy/ledger', 'request 1', team.token)).status, 503)
  t.equal((await service.call('GET', '/health/live')).status, 200, 'what is not the team\'s is answered')
  await service.redis.del(...partitions)
  t.equal((await team.ask('accounts/ada')).status, 200)
})

t.test('what is cut in the middle of a character is on record all the same, and holds up nothing after it', async t => {
  for (const shift of ['a', 'bc']) {
    const body = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`${shift}${'\u{1f600}'.repeat(20)}${String(n)}`, 'off']))
    const headers = { 'purpose-of-use': `cut ${shift}` }
    t.equal((await service.call('PUT', '/v1/privacy/organizations/acme/policy', { token: await service.token({ sub: 'root', scope: 'privacy:admin' }), body, headers })).status, 422)
    t.match(await rowOf(`cut ${shift}`), { status: 422, about: /^\{"policy":/ })
  }
})
