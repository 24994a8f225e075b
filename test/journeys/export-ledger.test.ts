import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import { keyIn, partitionOf } from '../../src/redis/keys.ts'
import { signIn } from '../support/api.ts'
import { because, exportLedger, fillLedger, makeEntry, sha256 } from '../support/exports.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t)
const reader = await service.token({ sub: 'rita', scope: 'privacy:read' })

const download = async (path: string, token = reader): Promise<{ headers: Headers, bytes: Buffer }> => {
  const response = await fetch(service.service.url + path, { headers: { authorization: `Bearer ${token}`, ...because } })
  return { headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
}
const take = async (body: Record<string, unknown>): Promise<{ made: Record<string, any>, headers: Headers, bytes: Buffer }> => {
  const made = await exportLedger(service, reader, body)
  return { made, ...await download(made['download']) }
}
const lines = (bytes: Buffer): Array<Record<string, any>> => bytes.toString().split('\n').filter(line => line !== '').map(line => JSON.parse(line) as never)
const start = async (body: unknown, token = reader) => await service.call('POST', '/v1/privacy/exports', { token, body, headers: because })

/** The rows of a file of columns, as another reader of that format sees them. */
async function readBack (format: 'Parquet' | 'CSVWithNames', bytes: Buffer): Promise<Array<Record<string, any>>> {
  const file = join(service.dataDir, randomUUID())
  await writeFile(file, bytes)
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  const rows = await (await client.query({ query: `SELECT * FROM file('${file}', ${format}) SETTINGS max_threads = 1, input_format_parquet_preserve_order = 1`, format: 'JSONEachRow' })).json<Record<string, any>>()
  await close()
  await rm(file)
  return rows
}

t.test('an export holds what the histories of its people hold', async t => {
  const people = await Promise.all(['ann', 'ben', 'cid'].map(async name => await signIn(service, name, 'product_analytics')))
  await service.call('POST', '/v1/me/privacy/stop', { token: people[0]!.token })
  const { made, headers, bytes } = await take({ format: 'ndjson' })
  t.match(made, {
    status: 'ready', format: 'ndjson', created_by: 'rita', query: {}, rows_done: 7,
    manifest: { format: 'ndjson', rows: 7, bytes: bytes.length, sha256: sha256(bytes), ledger_head: { entries: 7, position: /^\d+(-\d+){15}$/ }, query: {}, created_at: /Z$/ }
  })
  t.equal(headers.get('content-type'), 'application/x-ndjson')
  t.equal(headers.get('content-disposition'), `attachment; filename="ledger-${made['id']}.ndjson"`)
  t.equal(headers.get('repr-digest'), `sha-256=:${Buffer.from(sha256(bytes), 'hex').toString('base64')}:`)
  const histories = await Promise.all(people.map(async ({ token }) => (await service.call('GET', '/v1/me/privacy/history', { token })).body['entries'].reverse()))
  t.same(lines(bytes), histories.flat())
})

t.test('an export says the same for ever, whatever is written meanwhile; a later one says more', async t => {
  const dot = await signIn(service, 'dot', 'diagnostics')
  for (const format of ['ndjson', 'csv', 'parquet']) {
    const first = await take({ format })
    let more = true
    const writing = (async () => {
      for (let turn = 0; more; turn++) await dot.choose({ diagnostics: turn % 2 === 0 ? 'denied' : 'granted' })
    })()
    const again = await download(first.made['download'])
    const anew = await take({ format, at: first.made['ledger_head'].position })
    more = false
    await writing
    const later = await take({ format })
    t.ok(first.bytes.equals(again.bytes) && first.bytes.equals(anew.bytes), `${format}: the same at the same head`)
    t.equal(anew.made['manifest'].sha256, first.made['manifest'].sha256)
    t.ok(later.made['manifest'].rows > first.made['manifest'].rows, `${format}: more at a later head`)
    t.notOk(later.bytes.equals(first.bytes))
  }
})

t.test('what arrived twice is exported once', async t => {
  const entry = makeEntry({ account_id: 'twice' })
  await fillLedger(service, [entry])
  await service.redis.decr(keyIn(partitionOf('a:twice'), 'ledger-count'))
  await fillLedger(service, [entry])
  t.same(lines((await take({ format: 'ndjson', query: { account_id: 'twice' } })).bytes).map(line => line['entry_id']), [entry.entry_id])
})

t.test('an entry that was written again at another place is still exported, and nothing else is', async t => {
  await fillLedger(service, [makeEntry({ account_id: 'moved' }), makeEntry({ account_id: 'moved', revision: 2 })])
  const query = { account_id: 'moved' }
  const { made, bytes } = await take({ format: 'ndjson', query })
  t.equal(lines(bytes).length, 2)
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  await client.command({ query: 'SYSTEM STOP MERGES consent_ledger' })
  for (const sequence of ['1000000', '0']) {
    await client.command({ query: `INSERT INTO consent_ledger SELECT * REPLACE (${sequence} AS sequence) FROM consent_ledger WHERE account_id = 'moved' AND revision = 1 AND sequence > 0 LIMIT 1` })
  }
  t.ok((await download(made['download'])).bytes.equals(bytes))
  await client.command({ query: 'SYSTEM START MERGES consent_ledger' })
  await close()
})

t.test('an entry that cannot be read is exported without what cannot be', async t => {
  const entry = makeEntry({ account_id: 'unread' })
  await fillLedger(service, [entry])
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  await client.command({ query: "ALTER TABLE consent_ledger UPDATE via = 'garbage' WHERE account_id = 'unread' SETTINGS mutations_sync = 2" })
  await close()
  t.match(lines((await take({ format: 'ndjson', query: { account_id: 'unread' } })).bytes), [{ entry_id: entry.entry_id, via: null }])
})

t.test('an export of more than a page holds every entry once, in columns too', async t => {
  const entries = Array.from({ length: 25_007 }, (_, index) => makeEntry({
    account_id: `crowd-${index % 9000}`, revision: Math.floor(index / 9000) + 1, purpose: 'crowded', notice_version: index % 3 === 0 ? '2026-01' : null,
    via: index % 5 === 0 ? { product: 'cad', release: 2026, device_id: 'pc' } : null
  }))
  await fillLedger(service, entries)
  const query = { purpose: 'crowded' }
  const ndjson = await take({ format: 'ndjson', query })
  t.equal(ndjson.made['manifest'].rows, entries.length)
  const found = lines(ndjson.bytes)
  const ids = (rows: ReadonlyArray<Record<string, any>>): unknown[] => rows.map(row => row['entry_id'])
  t.ok(isDeepStrictEqual(ids(found).sort(), ids(entries as never).sort()))
  const parquet = await take({ format: 'parquet', query })
  t.equal(parquet.headers.get('content-type'), 'application/vnd.apache.parquet')
  const csv = await take({ format: 'csv', query })
  t.equal(csv.headers.get('content-type'), 'text/csv; charset=utf-8; header=present')
  const cells = found.map(line => ({ ...line, via: line['via'] === null ? null : JSON.stringify(line['via']) }))
  const shown = (row: Record<string, any>): Record<string, any> => ({
    ...row, revision: Number(row['revision']), ...Object.fromEntries(['effective_at', 'recorded_at'].map(name => [name, `${String(row[name]).slice(0, 23).replace(' ', 'T')}Z`]))
  })
  t.ok(isDeepStrictEqual((await readBack('Parquet', parquet.bytes)).map(shown), cells))
  t.ok(isDeepStrictEqual(ids(await readBack('CSVWithNames', csv.bytes)), ids(cells)))
})

t.test('a query narrows an export, and its manifest says so', async t => {
  const at = (day: number): number => Date.UTC(2026, 2, day)
  await fillLedger(service, [
    makeEntry({ account_id: 'eve', revision: 1, recorded_at: at(1), decision: 'granted' }),
    makeEntry({ account_id: 'eve', revision: 2, recorded_at: at(2), decision: 'denied', scope: 'device', device_id: 'pc-eve' }),
    makeEntry({ account_id: 'eve', revision: 3, recorded_at: at(3), decision: 'granted', purpose: 'diagnostics' })
  ])
  const revisions = async (query: Record<string, string>): Promise<number[]> => {
    const { made, bytes } = await take({ format: 'ndjson', query: { account_id: 'eve', ...query } })
    t.same(made['manifest'].query, { account_id: 'eve', ...query })
    return lines(bytes).map(line => line['revision'])
  }
  t.same(await revisions({}), [1, 2, 3])
  t.same(await revisions({ purpose: 'diagnostics' }), [3])
  t.same(await revisions({ decision: 'denied' }), [2])
  t.same(await revisions({ device_id: 'pc-eve' }), [2])
  t.same(await revisions({ from: '2026-03-02T00:00:00.000Z', to: '2026-03-03T00:00:00.000Z' }), [2])
  t.same(await revisions({ purpose: 'personalization' }), [])
})

t.test('a cell that a spreadsheet would run does not come first in its cell', async t => {
  const names = ['=1+1', '+1', '-1', '@SUM(A1)', ' =1', '\u00a0=1', '\u200b=1', '＝1', '＋1', '－1', '＠1', '\u3000＝1', '﹦1', "'=1", 'a=1', 'ann,"bo"', '=HYPERLINK("http://x","y")']
  for (const [index, sub] of names.entries()) {
    const email = `formula-${index}@example.com`
    await service.change(await service.token({ sub, email }), email, { account: { content_insights: 'granted' } })
  }
  const { bytes } = await take({ format: 'csv', query: { purpose: 'content_insights', decision: 'granted' } })
  const accounts = (await readBack('CSVWithNames', bytes)).map(row => String(row['account_id']))
  t.same(accounts.map(cell => cell.replace(/^'/, '')).sort(), [...names].sort(), 'one apostrophe away it is the text again')
  t.same(accounts.filter(cell => !cell.startsWith("'")).sort(), ['a=1', 'ann,"bo"'])
  t.notMatch(bytes.toString(), /(?:^|,|"|\n)[\s\u200b]*[=+\-@＝＋－＠﹦]/)
  t.same(lines((await take({ format: 'ndjson', query: { account_id: '=1+1' } })).bytes)[0]!['account_id'], '=1+1', 'lines of JSON are left as they are')
})

t.test('an export that the ledger does not give any more is never sent whole', async t => {
  const { made } = await take({ format: 'ndjson', query: { purpose: 'crowded' } })
  const key = keyIn(partitionOf(made['id']), 'export', made['id'])
  const sum = JSON.parse((await service.redis.hget(key, 'sum'))!) as { bytes: number }
  await service.redis.hset(key, 'sum', JSON.stringify({ ...sum, sha256: '0'.repeat(64) }))
  await t.rejects(download(made['download']), 'as long, but other bytes')
  await service.redis.hset(key, 'sum', JSON.stringify({ ...sum, bytes: sum.bytes - 1 }))
  await t.rejects(download(made['download']), 'longer')
  await service.redis.hset(key, 'sum', JSON.stringify({ ...sum, bytes: 1 }))
  isProblem(t, await service.call('GET', made['download'], { token: reader, headers: because }), 410, 'export-changed', made['download'], 'known before anything is sent')
})

t.test('an export that is not ready, or was not made, is not downloaded', async t => {
  const { made } = await take({ format: 'csv', query: { account_id: 'eve' } })
  const key = keyIn(partitionOf(made['id']), 'export', made['id'])
  const get = async (path: string) => await service.call('GET', path, { token: reader, headers: because })
  await service.redis.hset(key, 'status', 'running')
  isProblem(t, await get(made['download']), 409, 'export-running', made['download'])
  await service.redis.hset(key, 'status', 'failed')
  isProblem(t, await get(made['download']), 409, 'export-failed', made['download'])
  t.match((await get(`/v1/privacy/exports/${made['id']}`)).body, { status: 'failed' })
  for (const path of [`/v1/privacy/exports/${randomUUID()}`, `/v1/privacy/exports/${randomUUID()}/data`]) isProblem(t, await get(path), 404, 'not-found', path)
  t.match((await get('/v1/privacy/exports/1')).body, { type: '/problems/invalid-request', errors: [{ pointer: '/id' }] })
  t.ok(await service.redis.ttl(key) > 6 * 86_400, 'it is kept for 7 days')
})

t.test('a client that goes away stops the work', async t => {
  const { made } = await take({ format: 'ndjson', query: { purpose: 'crowded' } })
  const going = new AbortController()
  const response = await fetch(service.service.url + String(made['download']), { headers: { authorization: `Bearer ${reader}`, ...because }, signal: going.signal })
  const body = response.body!.getReader()
  await body.read()
  going.abort()
  await t.rejects(body.read())
  t.equal((await download(made['download'])).bytes.length, made['manifest'].bytes, 'the next is served whole')
  t.notMatch(service.logs.join(''), /request\.failed/)
})

t.test('wrong questions are told where they are wrong', async t => {
  const { body } = await start({ format: 'csv' })
  const position = body['ledger_head'].position as string
  const wrong: Array<[unknown, string]> = [
    [{}, '/format'],
    [{ format: 'xlsx' }, '/format'],
    [{ format: 'csv', query: { account_id: '' } }, '/query/account_id'],
    [{ format: 'csv', query: { device_id: 'a b' } }, '/query/device_id'],
    [{ format: 'csv', query: { decision: 'absent' } }, '/query/decision'],
    [{ format: 'csv', query: { from: 'yesterday' } }, '/query/from'],
    [{ format: 'csv', query: { to: '2026-01-01' } }, '/query/to'],
    [{ format: 'csv', query: { name: 'x' } }, '/query'],
    [{ format: 'csv', more: true }, ''],
    [{ format: 'csv', query: { account_id: 'a'.repeat(256) } }, '/query/account_id'],
    [{ format: 'csv', query: { account_id: 'a\nb' } }, '/query/account_id'],
    [{ format: 'csv', query: { purpose: "x' OR 1" } }, '/query/purpose'],
    [{ format: 'csv', at: 'now' }, '/at'],
    [{ format: 'csv', at: '1-2' }, '/at'],
    [{ format: 'csv', at: position.replace(/\d+$/, last => String(Number(last) + 1)) }, '/at']
  ]
  for (const [question, pointer] of wrong) {
    const answer = await start(question)
    isProblem(t, answer, 400, 'invalid-request', '/v1/privacy/exports')
    t.equal(answer.body['errors'][0].pointer, pointer, JSON.stringify(question))
  }
  isProblem(t, await start({ format: 'csv', query: { from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' } }), 422, 'range-reversed', '/v1/privacy/exports')
  t.same((await start({ format: 'csv', query: { account_id: "x' OR 1=1 --" } })).status, 202, 'a text is a text')
})

t.test('only the privacy team exports, and leaves a row for each call', async t => {
  const { made } = await take({ format: 'csv', query: { account_id: 'eve' } })
  const calls: Array<[string, string, unknown?]> = [['POST', '/v1/privacy/exports', { format: 'csv' }], ['GET', `/v1/privacy/exports/${made['id']}`], ['GET', made['download']]]
  const scopes = ['settings telemetry:write', 'security:admin', 'verification:delegate']
  for (const [method, path, body] of calls) {
    for (const scope of scopes) {
      const token = await service.token({ sub: 'mallory', scope })
      isProblem(t, await service.call(method, path, { token, body, headers: because }), 403, 'insufficient-scope', path)
    }
    isProblem(t, await service.call(method, path, { body, headers: because }), 401, 'invalid-token', path)
    t.match((await service.call(method, path, { token: reader, body })).body, { type: '/problems/invalid-request', errors: [{ pointer: '/purpose-of-use' }] })
  }
  const admin = await service.token({ sub: 'adam', scope: 'privacy:admin' })
  t.equal((await download(made['download'], admin)).bytes.length, made['manifest'].bytes, 'any member may read it')
  await eventually('the calls are on record', async () => await service.count(`access_log WHERE path = '${made['download']}' AND status = 200`) === 2)
  t.equal(await service.count("access_log WHERE subject = 'mallory' AND status = 403"), calls.length * scopes.length)
})
