/** Puts together what keeps a process from taking more than it can carry: rate limits, and the shedding of batches. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { findOverload, type Load, type LoadLimits } from '../domain/load.ts'
import type { IntakeGateOptions } from '../http/intake-gate.ts'
import type { RateLimitOptions } from '../http/rate-limits.ts'
import { memoryShare } from '../redis/memory.ts'
import { makeRateCounts } from '../redis/rate-counts.ts'
import type { Parts } from './parts.ts'
import { repeat } from './repeat.ts'

const lookEveryMs = 250
const exchangeEveryMs = 200
const rateWindowMs = 10_000
const loopResolutionMs = 10

/** Looks at the load again and again; what is in hand is counted by those who have it. */
export function watchLoad ({ config, closers, redis, metrics }: Parts, queued: () => Promise<number>): IntakeGateOptions {
  const load: Load = { redisShare: 0, queued: 0, loopDelayMs: 0, batchesInHand: 0, bytesInHand: 0 }
  const limits: LoadLimits = {
    redisSlowShare: config.REDIS_MEMORY_SLOW_PERCENT / 100,
    redisFullShare: config.REDIS_MEMORY_FULL_PERCENT / 100,
    queuedMax: config.QUEUE_JOBS_MAX,
    loopDelayMaxMs: config.EVENT_LOOP_DELAY_MAX_MS,
    batchesInHandMax: config.INTAKE_BATCHES_MAX,
    bytesInHandMax: config.INTAKE_BYTES_MAX,
    bytesOfSubjectMax: Math.max(config.BATCH_BYTES_MAX, config.INTAKE_BYTES_MAX / 8)
  }
  metrics.watch(() => ({ ...load, overloaded: findOverload(load, limits)?.reason }))
  const loop = monitorEventLoopDelay({ resolution: loopResolutionMs })
  loop.enable()
  const looking = setInterval(() => {
    load.loopDelayMs = Math.max(0, loop.mean / 1e6 - loopResolutionMs) || 0
    loop.reset()
  }, lookEveryMs)
  looking.unref()
  // A Redis that does not answer takes no batch either: what was known of it stays.
  const asking = repeat(async () => {
    [load.redisShare, load.queued] = await Promise.all([memoryShare(redis), queued()])
    return lookEveryMs
  }, () => {}, lookEveryMs)
  closers.push(async () => {
    clearInterval(looking)
    loop.disable()
    await asking.stop()
  })
  return { load, limits, onShed: metrics.shed }
}

/** Undefined where they are lifted. */
export function makeRateLimits ({ config, closers, redis, pepper, metrics, now }: Parts): RateLimitOptions | undefined {
  if (config.RATE_LIMITS === 'off') return undefined
  const counts = makeRateCounts(redis, { windowMs: rateWindowMs, now, hide: key => pepper(`rate:${key}`) })
  const exchanging = repeat(async () => {
    await counts.exchange()
    return exchangeEveryMs
  }, () => {}, exchangeEveryMs)
  closers.push(exchanging.stop)
  return {
    perSubjectMax: config.RATE_LIMIT_PER_SUBJECT,
    perAddressMax: config.RATE_LIMIT_PER_ADDRESS,
    windowMs: rateWindowMs,
    count: counts.count,
    onLimited: metrics.limited
  }
}
