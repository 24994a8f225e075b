/** Counts of requests that several processes share. */
import { keyIn, partitionOf } from './keys.ts'
import type { RedisClient } from './servers.ts'

export interface RateCounts {
  /** Counts one request of a key: how many there were in this window as far as is known, and when it ends (ms from now). */
  count: (key: string, max: number) => { current: number, ttl: number }
  /** Adds what was counted here to what all count, and learns of the others. Throws when Redis cannot be reached. */
  exchange: () => Promise<void>
}

export interface RateCountsOptions {
  windowMs: number
  now: () => number
  /** A name for a key that does not tell whose it is. */
  hide: (key: string) => string
}

/** `own`: counted here since the last exchange. */
interface Count { shared: number, own: number }

/** A key's count is exchanged once this part of its limit was counted here: most never get so far, and cost Redis nothing. */
const exchangedFrom = 1 / 50
/** Of the keys of one window. */
const rememberedMax = 100_000
const exchangedAtOnceMax = 500

/** Every process counts for itself, and no request waits for Redis: without it the limits hold for each process alone. */
export function makeRateCounts (redis: RedisClient, { windowMs, now, hide }: RateCountsOptions): RateCounts {
  let window = 0
  let counts = new Map<string, Count>()
  let busy = new Map<string, Count>()

  return {
    count (key, max) {
      const at = now()
      const current = Math.floor(at / windowMs)
      if (current !== window) {
        window = current
        counts = new Map()
        busy = new Map()
      }
      let count = counts.get(key)
      if (count === undefined) {
        const [oldest] = counts.keys()
        if (counts.size >= rememberedMax && oldest !== undefined) counts.delete(oldest)
        count = { shared: 0, own: 0 }
        counts.set(key, count)
      }
      count.own++
      if (count.own >= max * exchangedFrom) busy.set(key, count)
      return { current: count.shared + count.own, ttl: (window + 1) * windowMs - at }
    },

    async exchange () {
      const at = window
      const taken = [...busy].slice(0, exchangedAtOnceMax)
      for (const [key] of taken) busy.delete(key)
      await Promise.all(taken.map(async ([key, count]) => {
        const sent = count.own
        const name = hide(key)
        const shared = keyIn(partitionOf(name), 'rates', String(at))
        const [total] = await Promise.all([redis.hincrby(shared, name, sent), redis.pexpire(shared, 2 * windowMs)])
        count.shared = total
        count.own -= sent
      }))
    }
  }
}
