import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import { makeEventTable } from '../../src/clickhouse/event-table.ts'
import { emptyRecord, type ChoiceState, type Standing } from '../../src/domain/consent.ts'
import type { SentEvent } from '../../src/domain/event.ts'
import { Unavailable } from '../../src/domain/unavailable.ts'
import { makeJudgeBatch } from '../../src/flows/judge-batch.ts'
import type { EventTable, QueuedBatch } from '../../src/flows/ports.ts'
import { makeStoreEvents, type StoreEvents } from '../../src/flows/store-events.ts'
import { makeFrameCodec } from '../../src/redis/frame-codec.ts'
import { startClickHouse } from '../support/clickhouse.ts'

const catalog = await loadCatalog(join(import.meta.dirname, '..', '..', 'schemas'))
const owner = { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined }
const now = Date.now()

interface Stage {
  /** What ada says of product analytics from here on. */
  say: (state: ChoiceState, erasedAt?: number) => void
  /** The batch that waits after intake. */
  accept: (events: SentEvent[]) => QueuedBatch
  store: StoreEvents
  count: (from: string) => Promise<number>
}

/** Intake and writer over a real table; `spoil` may make a step of it fail. */
async function setStage (t: Test, spoil: (table: EventTable) => Partial<EventTable> = () => ({})): Promise<Stage> {
  const { client, rows } = await startClickHouse(t)
  let state: ChoiceState = 'granted'
  let erasedAt = 0
  const standing = (): Standing => ({
    account: { ...emptyRecord, erasedAt, account: { product_analytics: { state, since: 1, deniedUntil: 0, entry: randomUUID() } } },
    deviceId: undefined, deviceAlone: undefined, orgPolicy: {}, regionalDefault: 'denied'
  })
  const consents = { readStandings: async (owners: readonly unknown[]) => owners.map(standing) }
  const judgeBatch = makeJudgeBatch({ catalog, frameCodec: makeFrameCodec(), pseudonym: (_kind, id) => id ?? '', eventAgeMaxMs: 86_400_000 })
  const table = makeEventTable(client, Date.now)
  return {
    say: (next, erased = 0) => { state = next; erasedAt = erased },
    accept (events) {
      const batch = { batchId: randomUUID(), sentAt: now, product: { name: 'cad', release: 2026, version: undefined }, elements: events.map(event => ({ event })) }
      return judgeBatch(batch, { owner, standing: standing(), receivedAt: now, requestId: randomUUID() }).queued
    },
    store: makeStoreEvents({ catalog, consents, table: { ...table, ...spoil(table) }, frameCodec: makeFrameCodec(), now: Date.now }),
    count: async from => Number((await rows<{ n: string }>(`SELECT sum(count) AS n FROM ${from}`))[0]?.n)
  }
}

const makeEvent = (id: string = randomUUID()): SentEvent => ({ id, name: 'command.run', version: 1, occurredAt: now, properties: { command: 'LINE' } })
const heartbeat = (): SentEvent => ({ id: randomUUID(), name: 'license.heartbeat', version: 1, occurredAt: now, properties: { license_id: 'LIC-7Q4M-20XZ', seats_in_use: 1 } })
const atWrite = "consent_decisions_v WHERE stage = 'write' AND outcome ="

t.test('what was accepted is told apart at the write: stored, and dropped since', async t => {
  const { say, accept, store, count } = await setStage(t)
  const id = randomUUID()
  const kept = accept([makeEvent(id), makeEvent(id), heartbeat()])
  await store([kept], false)
  const refused = accept([makeEvent(), makeEvent(), heartbeat()])
  say('denied')
  t.match(await store([refused], false), { stored: 1, dropped: new Map([['account_denied', 2]]), failed: 0 })

  t.equal(await count("consent_decisions_v WHERE stage = 'intake' AND outcome = 'accepted'"), 6)
  t.equal(await count(`${atWrite} 'stored'`), 4, 'one of them the repeated one')
  t.equal(await count(`${atWrite} 'stored' AND purpose = 'product_analytics'`), 1)
  t.equal(await count(`${atWrite} 'dropped' AND reason = 'account_denied'`), 2)
})

t.test('an event whose counts could not be written has one fate when it comes again', async t => {
  let failures = 1
  const { say, accept, store, count } = await setStage(t, table => ({
    insertCounts: async batches => {
      if (failures-- > 0) throw new Unavailable('ClickHouse')
      await table.insertCounts(batches)
    }
  }))
  const batch = accept([makeEvent(), makeEvent()])
  await t.rejects(store([batch], false), { name: 'Unavailable' })
  say('denied')
  t.match(await store([batch], true), { stored: 0, dropped: new Map() }, 'both were stored while they were permitted')
  t.equal(await count(`${atWrite} 'stored'`), 2)
  t.equal(await count(`${atWrite} 'dropped'`), 0)
  t.equal(await count('(SELECT 1 AS count FROM events_v)'), 2)
})

t.test('an event that never was stored is counted as dropped when it comes again after a no', async t => {
  let failures = 1
  const { say, accept, store, count } = await setStage(t, table => ({
    insertFrames: async (lines, ids) => {
      if (failures-- > 0) throw new Unavailable('ClickHouse')
      await table.insertFrames(lines, ids)
    }
  }))
  const batch = accept([makeEvent(), heartbeat()])
  await t.rejects(store([batch], false), { name: 'Unavailable' })
  say('denied')
  await store([batch], true)
  t.equal(await count(`${atWrite} 'stored'`), 1)
  t.equal(await count(`${atWrite} 'dropped'`), 1)
})

t.test('counts that are said again replace what was said', async t => {
  const { accept, store, count } = await setStage(t)
  const batch = accept([makeEvent(), heartbeat()])
  await store([batch], false)
  await store([batch], true)
  t.equal(await count(`${atWrite} 'stored'`), 2)
  t.equal(await count("consent_decisions_v WHERE stage = 'intake'"), 2)
})

t.test('after an erasure what comes again is not inserted again: it is stored already, or it is erased', async t => {
  const inserted: string[] = []
  const { say, accept, store, count } = await setStage(t, table => ({
    insertFrames: async (lines, ids) => {
      inserted.push(lines)
      await table.insertFrames(lines, ids)
    },
    // As an erasure that begins between the two questions: an event that has just been found is hidden by it.
    findErased: async ids => new Set([...await table.findErased(ids), ...erasedMeanwhile])
  }))
  const erasedMeanwhile: string[] = []
  const [first, second] = [makeEvent(), makeEvent()]
  const batch = accept([first, second, heartbeat()])
  await store([batch], false)
  say('granted', 1)
  t.match(await store([batch], false), { stored: 3, dropped: new Map() })
  t.equal(inserted.length, 1, 'nothing is inserted of what is stored')
  erasedMeanwhile.push(first.id)
  t.match(await store([batch], false), { stored: 2, dropped: new Map([['erased', 1]]) })
  t.equal(inserted.length, 1)
  t.equal(await count(`${atWrite} 'stored'`), 2)
  t.equal(await count(`${atWrite} 'dropped' AND reason = 'erased'`), 1)
})

t.test('what is dropped as erased is known by its id from then on', async t => {
  const { say, accept, store, count } = await setStage(t)
  const batch = accept([makeEvent(), makeEvent()])
  say('granted', now)
  t.match(await store([batch], false), { stored: 0, dropped: new Map([['erased', 2]]) })
  t.equal(await count('(SELECT 1 AS count FROM erased_events FINAL)'), 2)
  say('granted', 1)
  t.match(await store([batch], false), { stored: 0, dropped: new Map([['erased', 2]]) })
  t.equal(await count('(SELECT 1 AS count FROM events_v)'), 0)
})
