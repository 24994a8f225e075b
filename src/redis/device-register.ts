/** Which devices an account has been seen on, so that a person can tell them apart in their settings. */
import type { RedisClient } from './servers.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { DeviceRegister } from '../flows/ports.ts'
import { accountPartition, keyIn } from './keys.ts'

const noteEveryMs = 3_600_000
const rememberedMax = 50_000
const devicesPerAccountMax = 200

interface StoredDevice { p: string[], t: number }

export function makeDeviceRegister (redis: RedisClient): DeviceRegister {
  /** When each account, device and release was last noted, so that a busy device costs one write an hour. */
  const noted = new Map<string, number>()
  const keyOf = (accountId: string): string => keyIn(accountPartition(accountId), 'devices', accountId)

  return {
    async see (accountId, deviceId, product, release, at) {
      const what = `${accountId}\n${deviceId}\n${product}\n${String(release)}`
      if (at - (noted.get(what) ?? -Infinity) < noteEveryMs) return
      try {
        const key = keyOf(accountId)
        const before = JSON.parse(await redis.hget(key, deviceId) ?? 'null') as StoredDevice | null
        if (before === null && await redis.hlen(key) >= devicesPerAccountMax) return
        const products = [...new Set([...before?.p ?? [], `${product} ${String(release)}`])].slice(-20)
        await redis.hset(key, deviceId, JSON.stringify({ p: products, t: at } satisfies StoredDevice))
      } catch (cause) {
        throw new Unavailable('the device register', { cause })
      }
      noted.delete(what)
      noted.set(what, at)
      for (const oldest of noted.keys()) {
        if (noted.size <= rememberedMax) break
        noted.delete(oldest)
      }
    },

    async list (accountId) {
      try {
        const stored = await redis.hgetall(keyOf(accountId))
        return Object.entries(stored).map(([id, text]) => {
          const { p, t } = JSON.parse(text) as StoredDevice
          return { device_id: id, products: p, last_seen_at: t }
        })
      } catch (cause) {
        throw new Unavailable('the device register', { cause })
      }
    },

    async forget (accountId, until) {
      try {
        const stored = await redis.hgetall(keyOf(accountId))
        const old = Object.entries(stored).filter(([, text]) => (JSON.parse(text) as StoredDevice).t <= until).map(([id]) => id)
        if (old.length > 0) await redis.hdel(keyOf(accountId), ...old)
        for (const what of noted.keys()) if (what.startsWith(`${accountId}\n`)) noted.delete(what)
        return old.length
      } catch (cause) {
        throw new Unavailable('the device register', { cause })
      }
    }
  }
}
