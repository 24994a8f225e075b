/** How full Redis is. */
import type { Redis } from 'ioredis'
import { serversOf, type RedisClient } from './servers.ts'

/** Memory in use of what the fullest server may use, as it reckons itself before it refuses writes; 0 where it may use all there is. */
export async function memoryShare (redis: RedisClient): Promise<number> {
  return Math.max(0, ...await Promise.all(serversOf(redis).map(shareOf)))
}

async function shareOf (server: Redis): Promise<number> {
  const info = await server.info('memory')
  const read = (name: string): number => Number(new RegExp(`^${name}:([0-9]+)`, 'm').exec(info)?.[1] ?? 0)
  const max = read('maxmemory')
  return max === 0 ? 0 : (read('used_memory') - read('mem_not_counted_for_evict')) / max
}
