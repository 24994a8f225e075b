/** Redis keeps what was deleted in its append-only file until it writes that anew. */
import { serversOf, type RedisClient } from './servers.ts'

/** Asks for a new file, and says whether that was permitted now: a Redis that is shared may forbid it, or be at it. */
export async function rewriteAppendOnlyFile (redis: RedisClient): Promise<boolean> {
  try {
    await Promise.all(serversOf(redis, 'all').map(async server => await server.bgrewriteaof()))
    return true
  } catch {
    return false
  }
}
