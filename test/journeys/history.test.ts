import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { signIn } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t)
const keys = JSON.parse(await readFile(join(service.dataDir, 'keys', 'development.json'), 'utf8')) as { ledger_key: string }

const history = async (token: string, query = '') => await service.call('GET', `/v1/me/privacy/history${query}`, { token })
const revisions = (body: Record<string, any>): number[] => body['entries'].map((entry: { revision: number }) => entry.revision)

/** A subject's chain as ClickHouse holds it, once it holds so many entries; times in ms, as they were sealed. */
async function chainOf (subject: string, length: number): Promise<Array<Record<string, any>>> {
  await eventually('the ledger is complete', async () => await service.count(`consent_ledger_v WHERE subject = '${subject}'`) >= length)
  const rows = await service.sql(`SELECT * REPLACE (toUnixTimestamp64Milli(effective_at) AS effective_at, toUnixTimestamp64Milli(recorded_at) AS recorded_at)
    FROM consent_ledger_v WHERE subject = '${subject}' ORDER BY consent_ledger_v.revision`)
  return rows.map(({ subject: _, ...row }) => ({
    ...row, effective_at: Number(row['effective_at']), recorded_at: Number(row['recorded_at']), revision: Number(row['revision']), via: JSON.parse(row['via'] ?? 'null')
  }))
}

/** The hash of an entry by its definition: HMAC-SHA-256 over its JSON with sorted keys. */
function sealOf ({ hash: _, ...entry }: Record<string, unknown>): string {
  const canonical = JSON.stringify(Object.fromEntries(Object.entries(entry).sort(([a], [b]) => a < b ? -1 : 1)))
  return createHmac('sha256', Buffer.from(keys.ledger_key, 'base64')).update(canonical).digest('hex')
}

t.test('a person reads what they agreed to and when, newest first', async t => {
  const { token, email } = await signIn(service, 'ada')
  t.same((await history(token)).body, { entries: [] })
  await service.change(token, email, { account: { product_analytics: 'granted' }, devices: { 'pc-ada': { diagnostics: 'granted' } }, notice_version: '2026-05' })
  await service.call('POST', '/v1/me/privacy/stop', { token })
  const { status, body } = await history(token)
  t.equal(status, 200)
  t.same(revisions(body), [6, 5, 4, 3, 2, 1])
  t.match(body['entries'][5], {
    account_id: 'ada', device_id: null, scope: 'account', purpose: 'product_analytics', decision: 'granted', actor: 'user', verified_by: 'email', via: null,
    notice_version: '2026-05', prev_hash: '', effective_at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, entry_id: /^[0-9a-f-]{36}$/, hash: /^[0-9a-f]{64}$/
  })
  t.match(body['entries'][4], { device_id: 'pc-ada', scope: 'device', purpose: 'diagnostics', decision: 'granted', verified_by: 'email' })
  t.match(body['entries'].slice(0, 4), Array(4).fill({ scope: 'account', decision: 'denied', verified_by: 'none', notice_version: null }))
  t.notOk('next_cursor' in body)
})

t.test('pages follow each other without a gap, also while entries are added', async t => {
  const { token, choose } = await signIn(service, 'pages')
  for (const decision of ['granted', 'denied', 'granted', 'denied', 'granted']) await choose({ product_analytics: decision })
  const first = (await history(token, '?limit=2')).body
  t.same(revisions(first), [5, 4])
  await choose({ product_analytics: 'denied' })
  const second = (await history(token, `?limit=2&cursor=${first['next_cursor']}`)).body
  t.same(revisions(second), [3, 2])
  const third = (await history(token, `?limit=2&cursor=${second['next_cursor']}`)).body
  t.same(revisions(third), [1])
  t.notOk('next_cursor' in third)
  t.notOk('next_cursor' in (await history(token, '?limit=6')).body, 'the last page is known to be the last')
})

t.test('a cursor works for whom it was given to, as it was given', async t => {
  const { token } = await signIn(service, 'cursors', 'product_analytics', 'diagnostics', 'personalization')
  const cursor = (await history(token, '?limit=1')).body['next_cursor'] as string
  t.same(revisions((await history(token, `?cursor=${cursor}`)).body), [2, 1])
  const text = Buffer.from(cursor, 'base64url').toString('latin1')
  const forged = [`9${text}`, text.replace(/^\d+/, '2'), text.slice(0, -1), `${text}0`, text.replace(/.$/, last => last === '0' ? '1' : '0'), '2.', '', 'x'].map(made => Buffer.from(made, 'latin1').toString('base64url'))
  for (const made of [...forged, '%00', 'ä']) t.match(await history(token, `?cursor=${made}`), { status: 400, body: { type: '/problems/invalid-request' } }, made)
  const other = await signIn(service, 'other', 'product_analytics', 'diagnostics', 'personalization')
  t.equal((await history(other.token, `?cursor=${cursor}`)).status, 400, 'somebody else\'s')
  for (const limit of ['0', '201', '-1', 'abc', '1e2', '', '1&limit=2']) t.equal((await history(token, `?limit=${limit}`)).status, 400, `limit ${limit}`)
})

t.test('a choice that was just made is in the history that is asked for next', async t => {
  const { token, choose } = await signIn(service, 'fresh')
  for (const [index, decision] of ['granted', 'denied', 'granted', 'denied'].entries()) {
    await choose({ diagnostics: decision })
    t.equal(revisions((await history(token)).body)[0], index + 1)
  }
})

t.test('the ledger holds each revision once, sealed and chained under the ledger\'s key', async t => {
  const { token, choose } = await signIn(service, 'chain', 'product_analytics', 'diagnostics')
  const laptop = await service.token({ device_id: 'chain' })
  await Promise.all(Array.from({ length: 10 }, async (_, index) => {
    await service.call('POST', '/v1/me/privacy/stop', { token })
    await service.call('PUT', '/v1/devices/chain/privacy', { token: laptop, body: { [index % 2 === 0 ? 'product_analytics' : 'diagnostics']: index % 3 === 0 ? 'granted' : 'denied' } })
  }))
  await service.restart()
  await choose({ personalization: 'granted' })
  const head = (await service.call('GET', '/v1/me/privacy', { token })).body['revision']
  const alone = (await service.call('PUT', '/v1/devices/chain/privacy', { token: laptop, body: { product_analytics: 'granted', diagnostics: 'denied' } })).body['revision']
  for (const [subject, length] of [['a:chain', head], ['d:chain', alone]] as const) {
    const chain = await chainOf(subject, length)
    t.same(chain.map(entry => entry['revision']), Array.from({ length }, (_, index) => index + 1), subject)
    t.same(chain.map(entry => entry['hash']), chain.map(sealOf))
    t.same(chain.map(entry => entry['prev_hash']), ['', ...chain.map(entry => entry['hash'])].slice(0, -1))
    for (const [index, entry] of chain.entries()) t.ok(entry['effective_at'] > (chain[index - 1]?.['effective_at'] ?? 0))
  }
  t.match(await chainOf('d:chain', alone), Array(alone).fill({ account_id: null, device_id: 'chain', actor: 'device', verified_by: 'none' }))
})

t.test('an entry that is delivered to the ledger twice is there once', async t => {
  await signIn(service, 'twice', 'product_analytics', 'diagnostics')
  const chain = await chainOf('a:twice', 2)
  const key = `assent:{${String(crc32('a:twice') % 16)}}:ledger`
  for (const [index, entry] of [...chain, ...chain].entries()) {
    await service.redis.xadd(key, '*', 'entry', JSON.stringify(entry), 'previous', 'absent', 'sequence', index % chain.length + 1)
  }
  await eventually('they have left the outbox', async () => await service.redis.xlen(key) === 0)
  t.same(await chainOf('a:twice', 2), chain)
  t.equal(await service.count("consent_ledger_v WHERE subject = 'a:twice'"), 2)
})

t.test('the outbox is empty once the ledger holds everything', async t => {
  for (const key of await service.redis.keys('assent:*:ledger')) await eventually('it is empty', async () => await service.redis.xlen(key) === 0)
  t.ok(await service.count('consent_ledger_v') > 20)
})
