import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import { insertRows } from '../../src/clickhouse/statements.ts'
import { makePseudonym } from '../../src/crypto/keyed-hash.ts'
import { fromJobData, toJobData, type JobData } from '../../src/redis/job-data.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { makeEvent, signIn, type Answer, type Person } from '../support/api.ts'
import { fillLedger, makeEntry, sha256 } from '../support/exports.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const twoStep = makeTwoStepClient(service, pass)
const { pseudonym_key: key } = JSON.parse(await readFile(join(service.dataDir, 'keys', 'development.json'), 'utf8')) as { pseudonym_key: string }
const refOf = (accountId: string): string => makePseudonym(Buffer.from(key, 'base64'))('account', accountId)

const ask = async ({ token }: Pick<Person, 'token'>, verification?: string, body?: unknown): Promise<Answer> => await service.call('POST', '/v1/me/export', {
  token, ...(body === undefined ? {} : { body }), headers: verification === undefined ? {} : { 'verification-token': verification }
})
const pay = async (person: Person, purpose = 'data.export'): Promise<string> => await service.verify(person.token, person.email, purpose)
const download = async ({ token }: Pick<Person, 'token'>, path: string, headers: Record<string, string> = {}): Promise<{ headers: Headers, text: string }> => {
  const response = await fetch(service.service.url + path, { headers: { authorization: `Bearer ${token}`, ...headers } })
  return { headers: response.headers, text: await response.text() }
}
const linesOf = (text: string): Array<Record<string, any>> => text.split('\n').slice(0, -1).map(line => JSON.parse(line) as never)
const exported = async (person: Person): Promise<Array<Record<string, any>>> => linesOf((await download(person, (await ask(person, await pay(person))).body['download'])).text)
const of = (lines: Array<Record<string, any>>, type: string): Array<Record<string, any>> => lines.filter(line => line['type'] === type)

/** Rows of the events table as they come, by whoever. */
async function insertEvents (accountId: string, events: Array<{ event_id: string, properties: string }>): Promise<void> {
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  const time = '2026-01-01 00:00:00.000'
  await insertRows(client, 'events', events.map(event => ({
    ...event, name: 'command.run', version: 1, product: 'cad', release: 2026, account_ref: refOf(accountId), device_ref: '', occurred_at: time, captured_at: time, received_at: time,
    purpose: 'product_analytics', reason: 'account_granted', consent_entry: null, batch_id: randomUUID()
  })))
  await close()
}

t.test('a person gets everything that is held about them, and nothing of anyone else', async t => {
  const ada = await signIn(service, 'ada', 'product_analytics', 'diagnostics')
  const ben = await signIn(service, 'ben', 'product_analytics')
  const adas = [makeEvent(), makeEvent({ properties: { command: 'CIRCLE' } })]
  await service.post(ada.token, { device_id: 'pc-ada', events: adas })
  await service.post(ben.token, { device_id: 'pc-ben' })
  await service.call('POST', `/v1/admin/accounts/ada/unlock`, { token: await service.token({ sub: 'root', scope: 'security:admin' }), body: { reason: 'she asked' } })
  await eventually('the events are stored', async () => await service.count('events_v') === 3)
  await ada.choose({ diagnostics: 'denied' })

  const { status, body } = await ask(ada, await pay(ada))
  t.equal(status, 202)
  t.match(body, { id: /^[0-9a-f-]{36}$/, status: 'ready', created_at: /Z$/, expires_at: /Z$/, download: `/v1/me/export/${String(body['id'])}/data` })
  t.equal(Date.parse(body['expires_at']) - Date.parse(body['created_at']), 86_400_000)
  t.same((await service.call('GET', `/v1/me/export/${String(body['id'])}`, { token: ada.token })).body, body)

  const { headers, text } = await download(ada, body['download'])
  t.equal(headers.get('content-type'), 'application/x-ndjson')
  t.equal(headers.get('content-disposition'), `attachment; filename="my-data-${String(body['id'])}.ndjson"`)
  const lines = linesOf(text)
  const settings = (await service.call('GET', '/v1/me/privacy', { token: ada.token })).body
  t.same(of(lines, 'settings'), [{ type: 'settings', revision: settings['revision'], account: settings['account'], devices: settings['devices'], default: settings['default'] }])
  t.match(of(lines, 'security'), [{ two_step: { status: 'off', enrolled_at: null } }])
  const { entries } = (await service.call('GET', '/v1/me/privacy/history', { token: ada.token })).body
  t.same(of(lines, 'ledger_entry'), entries.toReversed().map((entry: object) => ({ type: 'ledger_entry', ...entry })))
  t.match(of(lines, 'security_event'), [{ account_id: 'ada', kind: 'account_unlocked', reason: 'she asked', at: /Z$/ }])
  t.notOk('mail_to' in of(lines, 'security_event')[0]!)
  t.same(of(lines, 'event').map(({ event_id: id, properties }) => ({ id, properties })).sort((a, b) => a.id < b.id ? -1 : 1),
    adas.map(({ id, properties }) => ({ id, properties })).sort((a, b) => String(a.id) < String(b.id) ? -1 : 1))
  t.match(of(lines, 'event')[0], { account_ref: refOf('ada'), purpose: 'product_analytics', received_at: /Z$/, occurred_at: /Z$/, captured_at: /Z$/ })
  const manifest = lines.at(-1)!
  const before = text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1)
  t.match(manifest, { type: 'manifest', rows: lines.length - 1, sha256: sha256(before), ledger_head: { entries: Number, position: String } })
  t.equal((await download(ada, `/v1/me/export/${String(body['id'])}`, { accept: 'application/x-ndjson' })).text, text, 'the data at once, where NDJSON is asked for')
})

t.test('what is about to be stored is waited for', async t => {
  const cid = await signIn(service, 'cid')
  const paid = await pay(cid)
  await cid.choose({ diagnostics: 'granted' })
  const lines = linesOf((await download(cid, (await ask(cid, paid)).body['download'])).text)
  t.equal(of(lines, 'ledger_entry').length, 1)
})

t.test('an export of several pages holds everything once', async t => {
  const dee = await signIn(service, 'dee')
  await fillLedger(service, Array.from({ length: 10_003 }, (_, index) => makeEntry({ account_id: 'dee', revision: index + 1 })))
  const ids = Array.from({ length: 1201 }, () => randomUUID())
  await insertEvents('dee', ids.map(id => ({ event_id: id, properties: '{"command":"LINE"}' })))
  await insertEvents('dee', ids.slice(0, 700).map(id => ({ event_id: id, properties: '{"command":"LINE"}' })))
  const lines = await exported(dee)
  t.same(of(lines, 'ledger_entry').map(line => line['revision']), Array.from({ length: 10_003 }, (_, index) => index + 1))
  t.same(of(lines, 'event').map(line => line['event_id']).sort(), [...ids].sort())
})

t.test('an event that two accounts sent is the first one\'s alone', async t => {
  const [fay, gus] = [await signIn(service, 'fay', 'product_analytics'), await signIn(service, 'gus', 'product_analytics')]
  const event = makeEvent()
  await service.post(fay.token, { events: [event] })
  await eventually('it is stored', async () => await service.count(`events_v WHERE event_id = '${String(event['id'])}'`) === 1)
  await service.post(gus.token, { events: [event] })
  await eventually('it has come twice', async () => await service.count(`events WHERE event_id = '${String(event['id'])}'`) === 2)
  t.equal(of(await exported(fay), 'event').length, 1)
  t.equal(of(await exported(gus), 'event').length, 0)
})

t.test('events that could not be stored are held too', async t => {
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  const row = { request_id: randomUUID(), event_id: randomUUID(), name: 'command.run', device_ref: '', reason: 'clickhouse_27', row: '[]' }
  await insertRows(client, 'failed_events', [{ ...row, account_ref: refOf('hal') }, { ...row, event_id: randomUUID(), account_ref: refOf('another') }])
  await close()
  t.match(of(await exported(await signIn(service, 'hal')), 'set_aside_event'), [{ event_id: row.event_id, row: '[]', failed_at: /Z$/ }])
})

t.test('what waits to be stored is held too, and what was given up', async t => {
  const nia = await signIn(service, 'nia', 'product_analytics')
  const pia = await signIn(service, 'pia', 'product_analytics')
  const paid = await pay(nia)
  service.service.writer?.pause()
  const [waiting, other] = [makeEvent({ properties: { command: 'ARC' } }), makeEvent()]
  await service.post(nia.token, { events: [waiting] })
  await service.post(pia.token, { events: [other] })
  let taken: string[] = []
  await eventually('the writer has them', async () => { taken = await service.redis.lrange('{assent}:events:active', 0, -1); return taken.length === 2 })
  const held = await Promise.all(taken.map(async job => await fromJobData(JSON.parse(await service.redis.hget(`{assent}:events:${job}`, 'data') ?? '') as JobData)))
  const own = held.flat().find(({ owner }) => owner.accountId === 'nia')!
  await service.redis.multi().hset('{assent}:events:given-up', { data: JSON.stringify(await toJobData([{ ...own, requestId: randomUUID(), body: 'unreadable' }])) }).zadd('{assent}:events:failed', 1, 'given-up').exec()
  const lines = linesOf((await download(nia, (await ask(nia, paid)).body['download'])).text)
  t.match(of(lines, 'queued_event'), [{ given_up: false, event_id: waiting['id'], name: 'command.run', properties: { command: 'ARC' }, captured_at: /Z$/, account_ref: refOf('nia') }])
  t.equal(of(lines, 'queued_event').length, 1)
  t.match(of(lines, 'unreadable_batch'), [{ request_id: String, received_at: /Z$/ }])
  await service.redis.multi().zrem('{assent}:events:failed', 'given-up').del('{assent}:events:given-up').exec()
  service.service.writer?.resume()
  await eventually('it is stored', async () => await service.count(`events_v WHERE event_id = '${String(waiting['id'])}'`) === 1)
})

t.test('it tells of erasures, of what the privacy team asked, and of where letters go', async t => {
  const [oda, ula] = [{ ...await signIn(service, 'oda'), token: await service.token({ sub: 'oda/1', email: 'oda@example.com' }) }, await signIn(service, 'ula')]
  const team = await service.token({ sub: 'team', scope: 'privacy:read privacy:admin' })
  const asked = async (method: string, path: string, body?: unknown): Promise<number> =>
    (await service.call(method, `/v1/privacy/${path}`, { token: team, headers: { 'purpose-of-use': 'a letter of hers' }, ...(body === undefined ? {} : { body }) })).status
  t.equal(await asked('GET', 'accounts/oda%2F1'), 200)
  t.equal(await asked('GET', 'accounts/oda%2f1?as_of=2026-01-01T00:00:00Z'), 200)
  t.equal(await asked('GET', 'ledger?purpose=diagnostics&account_id=oda%2F1'), 200)
  t.equal(await asked('POST', 'erasures', { account_id: 'oda/1', reason: 'her wish' }), 202)
  t.equal(await asked('POST', 'exports', { format: 'csv', query: { account_id: 'oda/1' } }), 202)
  t.equal(await asked('GET', 'accounts/ula'), 200)
  t.equal(await asked('GET', 'ledger?account_id=oda'), 200)
  await eventually('the erasure is done', async () => await service.count("erasures FINAL WHERE account_id = 'oda/1' AND certificate IS NOT NULL") === 1)
  await eventually('the calls are on record', async () => await service.count("access_log WHERE purpose_of_use = 'a letter of hers'") >= 7)
  const lines = await exported(oda)
  t.match(of(lines, 'erasure'), [{ id: /^[0-9a-f]-/, requested_at: /Z$/, requested_by: 'team', reason: 'her wish', certificate: { subject: { account_id: 'oda/1' }, signature: String } }])
  t.same(of(lines, 'team_call').map(({ method, path }) => [method, path]), [
    ['GET', '/v1/privacy/accounts/oda%2F1'], ['GET', '/v1/privacy/accounts/oda%2f1'], ['GET', '/v1/privacy/ledger'], ['POST', '/v1/privacy/erasures'], ['POST', '/v1/privacy/exports']
  ])
  t.match(of(lines, 'team_call')[0], { at: /Z$/, purpose_of_use: 'a letter of hers', status: 200 })
  t.same(of(lines, 'letters_to'), [{ type: 'letters_to', address: 'oda@example.com', language: null }])
  const others = await exported(ula)
  t.same([of(others, 'erasure').length, of(others, 'team_call').length], [0, 1])
})

t.test('a failure in the middle breaks the connection', async t => {
  const ivy = await signIn(service, 'ivy')
  const { body } = await ask(ivy, await pay(ivy))
  await insertEvents('ivy', Array.from({ length: 600 }, () => ({ event_id: randomUUID(), properties: '{}' })))
  t.equal(linesOf((await download(ivy, body['download'])).text).at(-1)!['type'], 'manifest')
  await insertEvents('ivy', [{ event_id: 'ffffffff-ffff-4fff-bfff-ffffffffffff', properties: 'no JSON' }])
  await t.rejects(download(ivy, body['download']))
})

t.test('an export is its person\'s alone', async t => {
  const neighbour = Array.from({ length: 1000 }, (_, index) => `kim-${index}`).find(name => accountPartition(name) === accountPartition('jan'))!
  const [jan, kim] = [await signIn(service, 'jan'), await signIn(service, neighbour)]
  const { body } = await ask(jan, await pay(jan))
  const own = `/v1/me/export/${String(body['id'])}`
  for (const path of [own, body['download'], `/v1/me/export/${randomUUID()}`]) isProblem(t, await service.call('GET', path, { token: kim.token }), 404, 'not-found', path)
  isProblem(t, await service.call('GET', own, { token: kim.token, headers: { accept: 'application/x-ndjson' } }), 404, 'not-found', own)
  isProblem(t, await service.call('GET', own, { token: await service.token({ sub: 'jan', scope: 'telemetry:write privacy:admin' }) }), 403, 'insufficient-scope', own)
  isProblem(t, await service.call('GET', own), 401, 'invalid-token', own)
  isProblem(t, await service.call('GET', own, { token: await service.token({ sub: 'device:kiosk', device_id: 'kiosk' }) }), 403, 'account-required', own)
  t.match((await service.call('GET', '/v1/me/export/1', { token: jan.token })).body, { type: '/problems/invalid-request', errors: [{ pointer: '/id' }] })
  const ttl = await service.redis.pttl(keyIn(accountPartition('jan'), 'own-export', `jan:${String(body['id'])}`))
  t.ok(ttl > 86_000_000 && ttl <= 86_400_000, 'it is kept for a day')
})

t.test('an export is paid for once, by a verification that was made for it', async t => {
  const lea = await signIn(service, 'lea')
  isProblem(t, await ask(lea), 401, 'verification-required', '/v1/me/export')
  isProblem(t, await ask(lea, 'garbage'), 401, 'verification-required', '/v1/me/export')
  isProblem(t, await ask(lea, await pay(lea, 'privacy.update')), 403, 'verification-mismatch', '/v1/me/export')
  isProblem(t, await ask(await signIn(service, 'mia'), await pay(lea)), 403, 'verification-mismatch', '/v1/me/export')
  const token = await pay(lea)
  isProblem(t, await ask(lea, token, { everything: true }), 400, 'invalid-request', '/v1/me/export')
  const answers = await Promise.all(Array.from({ length: 8 }, async () => await ask(lea, token)))
  t.same(answers.map(({ status }) => status).sort(), [202, ...Array(7).fill(401)])
  isProblem(t, answers.find(({ status }) => status === 401)!, 401, 'verification-spent', '/v1/me/export')
})

t.test('with 2-step verification on, an e-mailed code does not pay, and an old token died with the old factors', async t => {
  const ned = await signIn(service, 'ned')
  const old = await pay(ned)
  const { secret, backupCodes } = await twoStep.protect('ned')
  isProblem(t, await ask(ned, old), 401, 'verification-required', '/v1/me/export')
  t.equal((await twoStep.prove(ned, 'data.export', { method: 'email', code: '123456' })).status, 403)
  t.equal((await ask(ned, await twoStep.pay({ ...ned, secret }, 'data.export', { method: 'totp' }))).status, 202)
  t.equal((await ask(ned, await twoStep.pay(ned, 'data.export', { method: 'backup_code', code: backupCodes[0]! }))).status, 202)
})

t.test('a fresh sign-in pays for an organisation\'s member', async t => {
  const member = async (secondsAgo: number): Promise<{ token: string }> => ({
    token: await service.token({ sub: 'orla', email: 'orla@example.com', account_kind: 'organization', org_id: 'acme', auth_time: Math.floor(Date.now() / 1000) - secondsAgo })
  })
  t.equal((await ask(await member(0))).status, 202)
  t.equal((await ask(await member(400))).status, 401)
})
