import t from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { makeFlushes, type FlushOptions } from '../../src/redis/flushes.ts'

const makeBatch = (requestId: string, rows = 1, body = ''): QueuedBatch => ({
  schema: 3, requestId, owner: { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined }, product: 'cad', release: 2026, receivedAt: 0, body,
  counts: [{ event: 'e', version: 1, purpose: 'p', outcome: 'accepted', reason: 'required', count: rows }]
})

/** Flushes into a store that takes one insert at a time when it is let; `inserts`: the requests of each. */
function begin (options: Partial<FlushOptions> = {}) {
  const inserts: string[][] = []
  const ends: Array<() => void> = []
  const flushes = makeFlushes({
    store: async batches => {
      inserts.push(batches.map(({ requestId }) => requestId))
      await new Promise<void>(resolve => ends.push(resolve))
      return { stored: 0, dropped: new Map(), failed: 0 }
    },
    onStored: () => {}, onTrouble: () => {}, flushRowsMax: 10, flushBodiesMax: 100, flushJobsMax: 100, flushWaitMs: 1e6, ...options
  })
  const give = (...batches: QueuedBatch[]): Array<Promise<void>> => batches.map(async batch => { await flushes.together({ batches: [batch], again: false }) })
  const end = async (): Promise<void> => {
    ends.shift()?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  return { inserts, give, end, flushes }
}

t.test('what arrives during an insert is gathered, and the next holds no more rows than it may', async t => {
  const { inserts, give, end } = begin()
  void give(makeBatch('a', 10))
  const [b, c, d] = give(makeBatch('b', 4), makeBatch('c', 6), makeBatch('d', 1), makeBatch('e', 11))
  t.same(inserts, [['a']], 'one at a time')
  await end()
  t.same(inserts, [['a'], ['b', 'c']])
  await end()
  await Promise.all([b, c])
  t.same(inserts.slice(2), [['d']], 'one that alone is too large is alone')
  await end()
  await d
  t.same(inserts.slice(3), [['e']])
})

t.test('nor does it hold more of what rows take in memory', async t => {
  const { inserts, give, end } = begin()
  void give(makeBatch('a', 1, 'x'.repeat(60)), makeBatch('b', 1, 'x'.repeat(60)), makeBatch('c', 1, 'x'.repeat(60)))
  t.same(inserts, [['a']])
  await end()
  t.same(inserts, [['a'], ['b']])
  await end()
  const [d] = give(makeBatch('d', 10))
  t.same(inserts.slice(2), [['c']], 'the rest waits for more')
  await end()
  await end()
  await d
})

t.test('as soon as half of all jobs that may be taken are there, nothing more is waited for', async t => {
  const { inserts, give } = begin({ flushJobsMax: 3 })
  void give(makeBatch('a'), makeBatch('b'))
  t.same(inserts, [])
  void give(makeBatch('c'))
  t.same(inserts, [['a', 'b', 'c']])
})

t.test('little waits for a while, and no longer', async t => {
  const { inserts, give, end } = begin({ flushWaitMs: 20 })
  const given = give(makeBatch('a'), makeBatch('b'))
  t.same(inserts, [])
  while (inserts.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
  await end()
  await Promise.all(given)
  t.same(inserts, [['a', 'b']])
})
