/** When intake takes no more. Choices and everything else go on: they are few, and worth more. */

/** What the process knows of the load on it and on Redis. */
export interface Load {
  /** Of the memory that Redis may use, 0 to 1; 0 where it may use all there is. */
  redisShare: number
  /** Jobs in the queue. */
  queued: number
  /** By how much the event loop is late, on average. */
  loopDelayMs: number
  /** Batches that have arrived and are not answered yet. */
  batchesInHand: number
  /** What has arrived of batches that are not answered yet. */
  bytesInHand: number
}

/** `redisSlowShare`: from here on clients are told to slow down; `redisFullShare`: from here on that nothing can be taken. */
export interface LoadLimits {
  redisSlowShare: number
  redisFullShare: number
  queuedMax: number
  loopDelayMaxMs: number
  batchesInHandMax: number
  bytesInHandMax: number
  /** Of one subject: else a single one that is slow could have all there is. */
  bytesOfSubjectMax: number
}

export const overloadReasons = ['redis-memory', 'queue', 'event-loop', 'batches-in-hand', 'bytes-in-hand'] as const
export type OverloadReason = typeof overloadReasons[number]

export interface Overload {
  reason: OverloadReason
  /** Whether the client is asked to slow down, rather than told that it cannot be served. */
  slowDown: boolean
  retryAfterSeconds: number
  /** Whether there may be room again at any moment. */
  passes: boolean
}

const redisFull: Overload = { reason: 'redis-memory', slowDown: false, retryAfterSeconds: 10, passes: false }
const redisFilling: Overload = { reason: 'redis-memory', slowDown: true, retryAfterSeconds: 5, passes: false }
const queueFull: Overload = { reason: 'queue', slowDown: false, retryAfterSeconds: 10, passes: false }
const loopLate: Overload = { reason: 'event-loop', slowDown: false, retryAfterSeconds: 1, passes: true }
const manyInHand: Overload = { reason: 'batches-in-hand', slowDown: false, retryAfterSeconds: 1, passes: true }
export const muchInHand: Overload = { reason: 'bytes-in-hand', slowDown: false, retryAfterSeconds: 1, passes: true }
export const muchOfSubject: Overload = { reason: 'bytes-in-hand', slowDown: true, retryAfterSeconds: 1, passes: true }

/** Why no batch is taken at the moment; undefined when one is. */
export function findOverload (load: Load, limits: LoadLimits): Overload | undefined {
  if (load.redisShare >= limits.redisFullShare) return redisFull
  if (load.queued >= limits.queuedMax) return queueFull
  if (load.redisShare >= limits.redisSlowShare) return redisFilling
  if (load.loopDelayMs >= limits.loopDelayMaxMs) return loopLate
  if (load.batchesInHand >= limits.batchesInHandMax) return manyInHand
  if (load.bytesInHand >= limits.bytesInHandMax) return muchInHand
  return undefined
}
