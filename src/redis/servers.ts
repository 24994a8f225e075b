/** The servers behind a connection, and whether they keep what they say they keep. */
import { Redis, type Cluster } from 'ioredis'

/** One server, the primary that sentinels name, or a cluster. */
export type RedisClient = Redis | Cluster

/** The servers that hold the data; with `all`, their replicas in a cluster too. */
export function serversOf (redis: RedisClient, which: 'primaries' | 'all' = 'primaries'): Redis[] {
  return redis instanceof Redis ? [redis] : redis.nodes(which === 'all' ? 'all' : 'master')
}

/** What is wrong with how one of the servers keeps data, as one line; undefined when an acknowledged write survives a power cut. */
export async function findVolatility (redis: RedisClient): Promise<string | undefined> {
  const found = await Promise.all(serversOf(redis, 'all').map(findServerVolatility))
  return found.find(line => line !== undefined)
}

async function findServerVolatility (redis: Redis): Promise<string | undefined> {
  const read = async (name: string): Promise<string | undefined> => {
    const answer = await redis.config('GET', name) as string[] | Record<string, string>
    return Array.isArray(answer) ? answer[1] : answer[name]
  }
  const [appendOnly, fsync, policy] = await Promise.all([read('appendonly'), read('appendfsync'), read('maxmemory-policy')])
  if (appendOnly !== 'yes') return `its appendonly is "${appendOnly ?? 'unknown'}" and must be "yes"`
  if (fsync !== 'always') return `its appendfsync is "${fsync ?? 'unknown'}" and must be "always"`
  if (policy !== 'noeviction') return `its maxmemory-policy is "${policy ?? 'unknown'}" and must be "noeviction"`
  return undefined
}

/** Whether nothing at all is kept. */
export async function isEmpty (redis: RedisClient): Promise<boolean> {
  return (await Promise.all(serversOf(redis).map(async server => await server.dbsize()))).every(size => size === 0)
}
