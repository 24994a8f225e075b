import { randomUUID } from 'node:crypto'
import t from 'tap'
import { makeErasureTable } from '../../src/clickhouse/erasure-table.ts'
import { makePseudonym } from '../../src/crypto/keyed-hash.ts'
import type { Erasure } from '../../src/domain/erasure.ts'
import { startClickHouse } from '../support/clickhouse.ts'

const pseudonym = makePseudonym(Buffer.alloc(32, 1))
const idOf = (_subject: unknown, uuid: string): string => `0-${uuid}`
const now = Date.now()
const ada: Erasure = { id: `0-${randomUUID()}`, accountId: 'ada', deviceId: null, purpose: null, requestedBy: 'team', reason: 'r', until: now }

const { client, rows } = await startClickHouse(t)
const table = makeErasureTable(client, { pseudonym, idOf, now: Date.now })
const row = (account: string, capturedAt: number, fields = {}): object => ({
  event_id: randomUUID(), name: 'command.run', version: 1, product: 'cad', release: 2026, product_version: '', account_ref: pseudonym('account', account), device_ref: '',
  occurred_at: capturedAt, captured_at: capturedAt, received_at: capturedAt, purpose: 'p', reason: 'r', consent_entry: null, properties: '{}', batch_id: randomUUID(), ...fields
})
const insert = async (...values: object[]): Promise<void> => { await client.insert({ table: 'events', values, format: 'JSONEachRow' }) }

t.test('hidden rows are read by nobody and lie in the files until they are purged; no setting outlives its statement', async t => {
  const settings = async (): Promise<unknown> => await rows("SELECT name, value FROM system.settings WHERE name IN ('mutations_sync', 'lightweight_deletes_sync', 'apply_deleted_mask') OR changed ORDER BY name")
  const before = await settings()
  const twice = row('ada', now - 5)
  await insert(twice, row('ada', now), row('ada', now + 1), row('bob', now - 5))
  await insert(twice)
  t.match(await table.count(ada, 'readable'), { events: 3, failed_events: 0 })
  await table.hide(ada)
  t.match(await table.count(ada, 'readable'), { events: 0 })
  t.match(await table.count(ada, 'all'), { events: 3 }, 'still in the files')
  t.equal((await rows('SELECT 1 FROM events_v')).length, 2)
  await table.purge()
  while ((await table.count(ada, 'all'))['events'] !== 0) await new Promise(resolve => setTimeout(resolve, 20))
  t.equal((await rows('SELECT 1 FROM events SETTINGS apply_deleted_mask = 0')).length, 2)
  t.same(await settings(), before)
})

t.test('what is delivered again as it was, and so seems captured anew, is deleted too, but not after a withdrawal', async t => {
  await insert(row('cy', now + 60_000, { occurred_at: now - 1 }))
  t.match(await table.count({ ...ada, accountId: 'cy', purpose: 'p' }, 'readable'), { events: 0 })
  t.match(await table.count({ ...ada, accountId: 'cy' }, 'readable'), { events: 1 })
})

t.test('names are bound, whatever they are', async t => {
  const names = ["' OR 1 = 1 --", '{account: String}', '\\', "a'b\"c`d", '); DROP TABLE events']
  for (const name of names) await insert(row(name, now))
  for (const name of names) {
    const erasure = { ...ada, id: `0-${randomUUID()}`, accountId: name, reason: name, purpose: name }
    await table.say(erasure, undefined)
    t.same((await table.find(erasure.id))?.erasure, erasure)
    t.match(await table.count({ ...erasure, purpose: null }, 'readable'), { events: 1 })
    await table.hide(erasure)
    t.match(await table.count({ ...erasure, purpose: null }, 'readable'), { events: 1 }, 'of another purpose')
  }
})

t.test('a certificate stays, whichever word arrives last, and only what has none is unfinished', async t => {
  const [done, open] = [{ ...ada, id: `0-${randomUUID()}` }, { ...ada, id: `0-${randomUUID()}` }]
  const certificate = { id: done.id } as Parameters<typeof table.say>[1]
  await table.say(done, certificate)
  await table.say(done, undefined)
  await table.say(open, undefined)
  t.same((await table.find(done.id))?.certificate, certificate)
  const unfinished = (await table.unfinished()).map(({ id }) => id)
  t.same([unfinished.includes(done.id), unfinished.includes(open.id)], [false, true])
  t.equal(await table.find(`1${done.id.slice(1)}`), undefined)
})
