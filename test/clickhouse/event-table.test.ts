import { randomUUID } from 'node:crypto'
import t from 'tap'
import { makeEventTable } from '../../src/clickhouse/event-table.ts'
import type { EventRow } from '../../src/domain/event.ts'
import { frameLineOf, rowLinesOf } from '../../src/flows/frames.ts'
import type { BatchRows, Frame, QueuedBatch } from '../../src/flows/ports.ts'
import { makeEventQueue } from '../../src/redis/event-queue.ts'
import { startClickHouse } from '../support/clickhouse.ts'
import { batchRowsOf, lineOf, makeQueuedBatch, makeRow, queueRows } from '../support/queued.ts'
import { eventually, startTestService } from '../support/service.ts'

t.test('a row is stored as it was serialised, and of two with one id the first received stays', async t => {
  const { client, rows } = await startClickHouse(t)
  const table = makeEventTable(client, Date.now)
  const first = makeRow({ properties: JSON.stringify({ text: '\'"\\\n\t{x:String}\u{1f600}', number: 0.1 }), consentEntry: randomUUID(), productVersion: '1"\\' })
  await table.insertRows(lineOf({ ...first, receivedAt: first.receivedAt + 1, properties: '{"late":true}' }))
  await table.insertRows(lineOf(first) + lineOf(first))
  await table.insertRows(lineOf({ ...first, receivedAt: first.receivedAt + 2, properties: '{"later":true}' }))
  t.match(await rows('SELECT * FROM events_v'), [{
    event_id: first.eventId, name: first.name, product_version: first.productVersion, properties: first.properties, consent_entry: first.consentEntry, batch_id: first.batchId
  }])
  t.equal((await rows('SELECT 1 FROM events_v')).length, 1)
  t.match(await rows('SELECT toInt64(toUnixTimestamp64Milli(received_at)) AS ms FROM events_v'), [{ ms: first.receivedAt }])
})

t.test('frames are stored as the same rows one by one would be', async t => {
  const { client, rows } = await startClickHouse(t)
  const table = makeEventTable(client, Date.now)
  const at = Date.now()
  const odd = ['', '\'"\\\n\t\r\b\f', '{x:String}', '\u{1f600}\u0301', '</script>', '\u0001\u2028', '0', 'null', '[]', '\\N']
  const frame = (name: string, count: number, entry: string | null): Frame => ({
    name, version: 65_535, purpose: 'product_analytics', reason: odd[count % odd.length]!, consentEntry: entry, fieldPurposes: [], firstCapturedAt: at,
    eventIds: Array.from({ length: count }, () => randomUUID()),
    occurredAt: Array.from({ length: count }, (_, index) => [at - index, 0, -1, 1, 253_402_300_799_999, at + 1][index % 6]!),
    capturedAt: Array.from({ length: count }, (_, index) => at - 2 * index),
    properties: Array.from({ length: count }, (_, index) => JSON.stringify({ [`key ${odd[index % odd.length]!}`]: odd[(index + 1) % odd.length], deep: { list: [index, 0.1, 1e21, null, true] } }))
  })
  const batches = odd.map((text, index): [QueuedBatch, BatchRows] => [
    makeQueuedBatch({ product: text, release: index, receivedAt: at }),
    { productVersion: text, accountRef: text, deviceRef: text, batchId: randomUUID(), sentAt: at, frames: [frame(text, index, null), frame('command.run', 12, randomUUID()), frame('one', 1, null)] }
  ])
  const stored = async (): Promise<object[]> => await rows('SELECT * FROM events_v ORDER BY event_id')
  await table.insertFrames(batches.flatMap(([batch, rows]) => rows.frames.map(frame => frameLineOf(batch, rows, frame))).join(''), batches.flatMap(([, { frames }]) => frames.flatMap(({ eventIds }) => eventIds)))
  const byFrames = await stored()
  await client.command({ query: 'TRUNCATE TABLE events' })
  await table.insertRows(batches.flatMap(([batch, rows]) => rows.frames.flatMap(frame => rowLinesOf(batch, rows, frame))).join(''))
  t.equal(byFrames.length, odd.length * 13 + odd.length * (odd.length - 1) / 2)
  t.strictSame(byFrames, await stored())
})

t.test('frames whose events cannot be stored are not taken for stored', async t => {
  const { client } = await startClickHouse(t)
  const table = makeEventTable(client, Date.now)
  const batch = makeQueuedBatch()
  const rows = batchRowsOf([makeRow()])
  const insert = async (frame: Partial<Frame>): Promise<unknown> => await table.insertFrames(frameLineOf(batch, rows, { ...rows.frames[0]!, ...frame }), rows.frames[0]!.eventIds).catch((error: unknown) => error)
  const spoilt: Array<Partial<Record<keyof Frame, unknown>>> = [
    { eventIds: ['none'] }, { eventIds: 'none' }, { occurredAt: [0.5] }, { capturedAt: ['today'] }, { capturedAt: {} }, { properties: [] },
    { version: 'one' }, { version: [] }, { consentEntry: 'none' }
  ]
  for (const fields of spoilt) t.match(table.dataFaultOf(await insert(fields as Partial<Frame>)), /^clickhouse_[0-9]+$/, JSON.stringify(fields))
  await client.command({ query: 'RENAME TABLE events TO elsewhere' })
  t.match(await insert({}), { name: 'Unavailable' }, 'the table behind is away')
  await client.command({ query: 'RENAME TABLE elsewhere TO events' })
  await client.command({ query: 'DETACH TABLE events_from_frames' })
  t.match(await insert({}), { name: 'Unavailable' }, 'the view is away, and the engine says that all is well')
  await client.command({ query: 'ATTACH TABLE events_from_frames' })
  t.equal(await insert({}), undefined)
})

t.test('counts that arrive twice are counted once', async t => {
  const { client, rows } = await startClickHouse(t)
  const table = makeEventTable(client, Date.now)
  const about = { receivedAt: Date.now(), product: 'cad', release: 2026, stage: 'intake' } as const
  const counts = [{ event: 'command.run', version: 1, purpose: 'product_analytics', outcome: 'dropped', reason: 'not_granted', count: 7 }] as const
  const [one, other] = [{ ...about, requestId: randomUUID(), counts }, { ...about, requestId: randomUUID(), counts }]
  await table.insertCounts([one])
  await table.insertCounts([one, other])
  t.match(await rows('SELECT toInt32(sum(count)) AS n FROM consent_decisions_v'), [{ n: 14 }])
})

t.test('a row that cannot be stored is set aside with its reason, and its neighbours are stored', async t => {
  const service = await startTestService(t)
  const queue = makeEventQueue(service.redis)
  const poison: Array<[about: string, fields: Partial<Record<keyof EventRow, unknown>>]> = [
    ['an entry that is no id', { consentEntry: 'not-a-uuid' }],
    ['text for a number', { version: 'one' }],
    ['a list for a number', { version: [] }]
  ]
  const neighbours = poison.map(() => Array.from({ length: 8 }, () => makeRow()))
  const bad = poison.map(([, fields]) => makeRow(fields as Partial<EventRow>))
  const batches = bad.map((row, index) => queueRows([...neighbours[index]!.slice(0, 3), row, ...neighbours[index]!.slice(3)]))
  await Promise.all(batches.map(queue.add))

  await eventually('nothing waits', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0)
  const stored = await service.sql<{ event_id: string }>('SELECT event_id FROM events_v')
  t.strictSame(stored.map(row => row.event_id).sort(), neighbours.flat().map(({ eventId }) => eventId).sort())
  const failed = await service.sql<{ request_id: string, reason: string, event_id: string, row: string }>('SELECT request_id, reason, event_id, row FROM failed_events FINAL')
  t.equal(failed.length, poison.length)
  for (const [index, [about]] of poison.entries()) {
    const found = failed.find(({ request_id: id }) => id === batches[index]!.requestId)
    t.match(found, { reason: /^clickhouse_[0-9]+$/, event_id: bad[index]!.eventId }, about)
    t.match(JSON.parse(found!.row), { 0: bad[index]!.eventId }, 'the row is kept whole')
  }
  const metrics = await (await fetch(`${service.service.url}/metrics`)).text()
  t.match(metrics, new RegExp(`^assent_events_failed_total ${String(poison.length)}$`, 'm'))
})
