import t from 'tap'
import { findOverload, type Load, type LoadLimits, type OverloadReason } from '../../src/domain/load.ts'

const limits: LoadLimits = { redisSlowShare: 0.7, redisFullShare: 0.8, queuedMax: 100, loopDelayMaxMs: 500, batchesInHandMax: 8, bytesInHandMax: 1000, bytesOfSubjectMax: 500 }
const idle: Load = { redisShare: 0, queued: 0, loopDelayMs: 0, batchesInHand: 0, bytesInHand: 0 }

function reasonOf (load: Partial<Load>): OverloadReason | undefined {
  return findOverload({ ...idle, ...load }, limits)?.reason
}

t.test('below every limit batches are taken', async t => {
  t.equal(reasonOf({}), undefined)
  t.equal(reasonOf({ redisShare: 0.699, queued: 99, loopDelayMs: 499, batchesInHand: 7, bytesInHand: 999 }), undefined)
})

t.test('each limit by itself is enough, from the value it names', async t => {
  t.equal(reasonOf({ redisShare: 0.7 }), 'redis-memory')
  t.equal(reasonOf({ queued: 100 }), 'queue')
  t.equal(reasonOf({ loopDelayMs: 500 }), 'event-loop')
  t.equal(reasonOf({ batchesInHand: 8 }), 'batches-in-hand')
  t.equal(reasonOf({ bytesInHand: 1000 }), 'bytes-in-hand')
})

t.test('only a Redis that fills up asks clients to slow down, and only until it is full', async t => {
  const slowsDown = (load: Partial<Load>): boolean | undefined => findOverload({ ...idle, ...load }, limits)?.slowDown
  t.equal(slowsDown({ redisShare: 0.799 }), true)
  for (const load of [{ redisShare: 0.8 }, { queued: 100 }, { loopDelayMs: 500 }, { batchesInHand: 8 }, { bytesInHand: 1000 }]) t.equal(slowsDown(load), false)
})

t.test('of several reasons the one that lasts longest is told, and clients stay away for as long', async t => {
  const wait = (load: Partial<Load>): number | undefined => findOverload({ ...idle, ...load }, limits)?.retryAfterSeconds
  const all = { redisShare: 0.8, queued: 100, loopDelayMs: 500, batchesInHand: 8, bytesInHand: 1000 }
  t.equal(reasonOf(all), 'redis-memory')
  t.equal(reasonOf({ ...all, redisShare: 0.7 }), 'queue', 'a full queue takes nothing: who only slowed down would not help')
  t.equal(wait({ ...all, redisShare: 0.7 }), 10)
  t.equal(reasonOf({ ...all, redisShare: 0.7, queued: 0 }), 'redis-memory')
  t.equal(wait({ ...all, redisShare: 0, queued: 0 }), 1)
  const passes = (load: Partial<Load>): boolean | undefined => findOverload({ ...idle, ...load }, limits)?.passes
  for (const load of [{ loopDelayMs: 500 }, { batchesInHand: 8 }, { bytesInHand: 1000 }]) t.equal(passes(load), true, 'gone at any moment')
  for (const load of [{ redisShare: 0.7 }, { redisShare: 0.8 }, { queued: 100 }]) t.equal(passes(load), false, 'there for a while')
  for (const load of [{ redisShare: 0.7 }, { redisShare: 0.8 }, { queued: 100 }]) t.ok(wait(load)! > 1)
})
