/** Redis keeps what was deleted in its append-only file until it writes that anew. */
import type { Redis } from 'ioredis'

/** Asks for a new file, and says whether that was permitted now: a Redis that is shared may forbid it, or be at it. */
export async function rewriteAppendOnlyFile (redis: Redis): Promise<boolean> {
  try {
    await redis.bgrewriteaof()
    return true
  } catch {
    return false
  }
}
