/** Everything that a Redis holds, as text: every key and every value, of whatever type. */
import type { RedisClient } from '../../src/redis/servers.ts'

export async function readAll (redis: RedisClient): Promise<string> {
  const found: unknown[] = []
  for (const key of await redis.keys('*')) found.push(key, await readValue(redis, key, await redis.type(key)))
  return JSON.stringify(found)
}

async function readValue (redis: RedisClient, key: string, type: string): Promise<unknown> {
  switch (type) {
    case 'none': return undefined // It has gone since the keys were listed.
    case 'string': return (await redis.getBuffer(key))?.toString('latin1')
    case 'hash': return await redis.hgetall(key)
    case 'list': return await redis.lrange(key, 0, -1)
    case 'set': return await redis.smembers(key)
    case 'zset': return await redis.zrange(key, '0', '-1', 'WITHSCORES')
    case 'stream': return await redis.xrange(key, '-', '+')
    default: throw new Error(`cannot read a ${type}`)
  }
}
