import { randomUUID } from 'node:crypto'
import t from 'tap'
import { makeErasureTable } from '../../src/clickhouse/erasure-table.ts'
import { makePseudonym } from '../../src/crypto/keyed-hash.ts'
import type { Erasure, ErasureCertificate } from '../../src/domain/erasure.ts'
import type { RowCounts } from '../../src/flows/erasure-ports.ts'
import { startClickHouse } from '../support/clickhouse.ts'

const pseudonym = makePseudonym(Buffer.alloc(32, 1))
const idOf = (_subject: unknown, uuid: string): string => `0-${uuid}`
const now = Date.now()
const ada: Erasure = { id: `0-${randomUUID()}`, accountId: 'ada', deviceId: null, purpose: null, requestedBy: 'team', reason: 'r', until: now }

const { client, rows } = await startClickHouse(t)
const table = makeErasureTable(client, { pseudonym, idOf, now: Date.now })
const count = async (erasure: Erasure, which: 'readable' | 'all'): Promise<RowCounts> => (await table.count([erasure], which))[0] ?? {}
const hide = async (erasure: Erasure): Promise<void> => { await table.hide([{ erasure, rows: { events: 1, failed_events: 1 } }]) }
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
  t.match(await count(ada, 'readable'), { events: 3, failed_events: 0 })
  await hide(ada)
  t.match(await count(ada, 'readable'), { events: 0 })
  t.match(await count(ada, 'all'), { events: 3 }, 'still in the files')
  t.equal((await rows('SELECT 1 FROM events_v')).length, 2)
  await table.purge({ events: 1 })
  while ((await count(ada, 'all'))['events'] !== 0) await new Promise(resolve => setTimeout(resolve, 20))
  t.equal((await rows('SELECT 1 FROM events SETTINGS apply_deleted_mask = 0')).length, 2)
  t.same(await settings(), before)
})

t.test('what is delivered again as it was, and so seems captured anew, is deleted too, but not after a withdrawal', async t => {
  await insert(row('cy', now + 60_000, { occurred_at: now - 1 }))
  t.match(await count({ ...ada, accountId: 'cy', purpose: 'p' }, 'readable'), { events: 0 })
  t.match(await count({ ...ada, accountId: 'cy' }, 'readable'), { events: 1 })
})

t.test('names are bound, whatever they are', async t => {
  const names = ["' OR 1 = 1 --", '{account: String}', '\\', "a'b\"c`d", '); DROP TABLE events']
  for (const name of names) await insert(row(name, now))
  for (const name of names) {
    const erasure = { ...ada, id: `0-${randomUUID()}`, accountId: name, reason: name, purpose: name }
    await table.say([{ erasure }])
    t.same((await table.find(erasure.id))?.erasure, erasure)
    t.match(await count({ ...erasure, purpose: null }, 'readable'), { events: 1 })
    await hide(erasure)
    t.match(await count({ ...erasure, purpose: null }, 'readable'), { events: 1 }, 'of another purpose')
  }
})

t.test('a certificate stays, whichever word arrives last, and only what has none is unfinished', async t => {
  const [done, open] = [{ ...ada, id: `0-${randomUUID()}` }, { ...ada, id: `0-${randomUUID()}` }]
  const certificate = { id: done.id } as ErasureCertificate
  await table.say([{ erasure: done, certificate }])
  await table.say([{ erasure: done }])
  await table.say([{ erasure: open }])
  t.same((await table.find(done.id))?.certificate, certificate)
  const unfinished = (await table.unfinished()).map(({ id }) => id)
  t.same([unfinished.includes(done.id), unfinished.includes(open.id)], [false, true])
  t.equal(await table.find(`1${done.id.slice(1)}`), undefined)
})

t.test('many at once are counted and hidden each for itself, whatever they share', async t => {
  const at = (accountId: string | null, deviceId: string | null, purpose: string | null, until = now): Erasure => ({ ...ada, id: `0-${randomUUID()}`, accountId, deviceId, purpose, until })
  const onDevice = (account: string, purpose: string, time: number): object =>
    row(account, time, { device_ref: pseudonym('device', 'pc'), purpose, ...(account === '' ? { account_ref: '' } : {}) })
  await insert(...['eve', 'finn', ''].flatMap(name => ['p', 'q'].flatMap(purpose => [now - 10, now].map(time => onDevice(name, purpose, time)))))
  const erasures = [
    at('eve', null, 'p'), at('eve', null, 'p', now - 10), at('eve', 'pc', 'q'), at('finn', null, null, now - 10), at(null, 'pc', 'p'), at(null, 'pc', null), at('gus', null, null),
    ...Array.from({ length: 700 }, (_, index) => at(`nobody-${String(index)}`, null, 'p'))
  ]
  const counts = (await table.count(erasures, 'readable')).map(({ events }) => events)
  t.same(counts.slice(0, 7), [2, 1, 2, 2, 2, 12, 0])
  t.ok(counts.slice(7).every(events => events === 0))
  await table.hide([0, 3].map(index => ({ erasure: erasures[index]!, rows: { events: 1 } })))
  t.same((await table.count(erasures.slice(0, 7), 'readable')).map(({ events }) => events), [0, 0, 2, 0, 2, 8, 0])
  t.equal((await rows(`SELECT 1 FROM erased_events WHERE event_id IN (SELECT event_id FROM events WHERE device_ref = '${pseudonym('device', 'pc')}' SETTINGS apply_deleted_mask = 0)`)).length, 4, 'the ids of what is hidden are known')
})
