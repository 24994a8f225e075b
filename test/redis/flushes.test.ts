import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { makeFlushes, type FlushOptions, type Flushes } from '../../src/redis/flushes.ts'
import { makeQueuedBatch } from '../support/queued.ts'

const batch = (body: string, rows: number): QueuedBatch => makeQueuedBatch({ body, counts: [{ event: 'e', version: 1, purpose: 'p', outcome: 'accepted', reason: 'r', count: rows }] })

/** `inserts`: the bodies that each held. */
function stage (options: Partial<FlushOptions> = {}): Flushes & { inserts: string[] } {
  const inserts: string[] = []
  return {
    inserts,
    ...makeFlushes({
      store: async batches => {
        inserts.push(batches.map(({ body }) => body).join())
        return await Promise.resolve({ stored: 0, dropped: new Map(), failed: 0 })
      },
      onStored: () => {}, onTrouble: () => {},
      flushRowsMax: 100, flushSizeMax: 100, flushJobsMax: 10, flushWait: { quietMs: 30, busyRows: 50, busyMs: 300 }, ...options
    })
  }
}

t.test('an insert holds so many rows and no more, unless one job does; nothing is left behind', async t => {
  const { together, inserts } = stage()
  await Promise.all([['a', 60], ['b', 30], ['c', 30], ['d', 500], ['e', 1]].map(async ([body, rows]) => {
    await together({ batches: [batch(body as string, rows as number)], again: false })
  }))
  t.same(inserts, ['a,b', 'c', 'd', 'e'])
})

t.test('the size of its rows bounds an insert as well', async t => {
  const { together, inserts } = stage()
  await Promise.all(['a', 'b', 'c'].map(async letter => { await together({ batches: [batch(letter.repeat(45), 1)], again: false }) }))
  t.same(inserts.map(bodies => bodies.replace(/(.)\1+/g, '$1')), ['a,b', 'c'])
})

t.test('little is stored soon, much waits for more, and all that may be taken is not waited with', async t => {
  const { together, inserts } = stage()
  const started = performance.now()
  await together({ batches: [batch('little', 1)], again: false })
  t.ok(performance.now() - started < 200)
  const much = together({ batches: [batch('much', 60)], again: false })
  await sleep(100)
  const more = together({ batches: [batch('more', 1)], again: false })
  await sleep(50)
  t.same(inserts, ['little'])
  await Promise.all([much, more])
  t.same(inserts, ['little', 'much,more'])

  const filled = performance.now()
  const full = stage({ flushWait: { quietMs: 10_000, busyRows: 50, busyMs: 20_000 } })
  await Promise.all(Array.from({ length: 10 }, async () => { await full.together({ batches: [batch('x', 1)], again: false }) }))
  t.equal(full.inserts.length, 1)
  t.ok(performance.now() - filled < 5000)
})
