import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeErasureTable } from '../../src/clickhouse/erasure-table.ts'
import type { Erasure } from '../../src/domain/erasure.ts'
import type { ErasureStore, ErasureTable } from '../../src/flows/erasure-ports.ts'
import { makeEraseSubjects, type EraseSubjects } from '../../src/flows/erase-subject.ts'
import { connectForRequests } from '../../src/redis/client.ts'
import { makeDeviceRegister } from '../../src/redis/device-register.ts'
import { startEmbeddedRedis } from '../../src/redis/embedded.ts'
import { makeErasureQueue } from '../../src/redis/erasure-queue.ts'
import { erasureIdFor, makeErasureStore } from '../../src/redis/erasure-store.ts'
import { makeFolder } from '../start/process.ts'
import { startClickHouse } from '../support/clickhouse.ts'

const folder = await makeFolder(t)
await mkdir(join(folder, 'redis'))
const embedded = await startEmbeddedRedis({ dir: join(folder, 'redis'), socketPath: join(folder, 'redis.sock'), readyWithinMs: 20_000, onRestart: () => {} })
const redis = connectForRequests({ socketPath: embedded.socketPath })
await redis.connect()
const { client, rows } = await startClickHouse(t)
const queue = makeErasureQueue(redis)
t.teardown(async () => { redis.disconnect(); await embedded.close() })

const table = makeErasureTable(client, { pseudonym: (_kind, id) => id ?? '', idOf: ({ accountId }, uuid) => erasureIdFor({ kind: 'account', id: accountId ?? '' }, uuid), now: Date.now })
const erasures = makeErasureStore(redis)
const devices = makeDeviceRegister(redis)
const now = Date.now()

/** The steps of a process that is killed when one of them is done and has not been answered yet. From then on it does nothing. */
function killedAt<Steps extends object> (steps: Steps, killed: { at: number, steps: number }): Steps {
  const dying = (step: (...args: unknown[]) => Promise<unknown>) => async (...args: unknown[]): Promise<unknown> => {
    if (++killed.steps > killed.at) throw new Error('killed')
    const answer = await step(...args)
    if (killed.steps === killed.at) throw new Error('killed')
    return answer
  }
  return Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, dying(step as () => Promise<unknown>)])) as Steps
}

function makeProcess (parts: { erasures: ErasureStore, table: ErasureTable }): EraseSubjects {
  return makeEraseSubjects({
    ...parts, queue, devices, settleDead: async () => await Promise.reject(new Error('nothing was given up')), sign: async () => await Promise.resolve('signed'),
    onLateRows: () => { throw new Error('a row came late') }, onFailed: unlessKilled, now: Date.now
  })
}

function unlessKilled (error: unknown): void {
  if (String(error) !== 'Error: killed') throw error
}

async function openErasure (): Promise<Erasure & { eventIds: string[] }> {
  const accountId = randomUUID()
  const values = [now - 1, now, now + 10_000].map(at => ({
    event_id: randomUUID(), name: 'command.run', version: 1, product: 'cad', release: 2026, product_version: '', account_ref: accountId, device_ref: '',
    occurred_at: at, captured_at: at, received_at: at, purpose: 'p', reason: 'r', consent_entry: null, properties: '{}', batch_id: randomUUID()
  }))
  await client.insert({ table: 'events', values, format: 'JSONEachRow' })
  await devices.see(accountId, 'pc', 'cad', 2026, now)
  const erasure: Erasure = { id: erasureIdFor({ kind: 'account', id: accountId }, randomUUID()), accountId, deviceId: null, purpose: null, requestedBy: 'person', reason: 'r', until: now }
  await erasures.open(erasure)
  return { ...erasure, eventIds: values.map(row => row.event_id) }
}

const isOpen = async (id: string): Promise<boolean> => (await erasures.due('new', Date.now())).some(({ erasure }) => erasure.id === id)

t.test('killed at any step, it is taken up by the next process, and certified with the right counts', async t => {
  let at = 0
  for (let wasKilled = true; wasKilled;) {
    const { id, accountId, eventIds } = await openErasure()
    const killed = { at: ++at, steps: 0 }
    const first = makeProcess({ erasures: killedAt(erasures, killed), table: killedAt(table, killed) })
    while (await isOpen(id) && killed.steps < at) {
      await first.hide().catch(unlessKilled)
      await first.finish().catch(unlessKilled)
    }
    wasKilled = killed.steps >= at
    const second = makeProcess({ erasures, table })
    while (await isOpen(id)) {
      await second.hide()
      await second.finish()
    }

    const name = `killed at step ${String(at)}`
    t.match((await erasures.find(id))?.certificate, { tables: [{ table: 'events', rows_before: 2, rows_after: 0 }, {}], signature: 'signed' }, name)
    t.equal((await rows(`SELECT 1 FROM events WHERE account_ref = '${accountId ?? ''}' SETTINGS apply_deleted_mask = 0`)).length, 1, name)
    t.match(await table.find(id), { certificate: { id } }, name)
    t.same(await devices.list(accountId ?? ''), [], name)
    t.equal((await rows(`SELECT 1 FROM erased_events WHERE event_id IN (${eventIds.slice(0, 2).map(one => `'${one}'`).join()})`)).length, 2, `${name}: their ids are known`)
    t.ok((await erasures.due('again', Date.now() + 16 * 60_000)).some(({ erasure }) => erasure.id === id), `${name}: a second look is to come`)
  }
  t.ok(at > 15, `${String(at - 1)} steps were tried`)
})
