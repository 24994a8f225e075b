/** The embedded Redis for a test that needs no service, in a directory of its own; gone when the test ends. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { connectForRequests } from '../../src/redis/client.ts'
import { startEmbeddedRedis } from '../../src/redis/embedded.ts'
import type { RedisClient } from '../../src/redis/servers.ts'

export async function startRedis (t: Test): Promise<{ redis: RedisClient, socketPath: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'assent-redis-'))
  const socketPath = join(dir, 'redis.sock')
  const embedded = await startEmbeddedRedis({ dir, socketPath, readyWithinMs: 60_000, onRestart: () => {} })
  const redis = connectForRequests({ socketPath })
  await redis.connect()
  t.teardown(async () => {
    redis.disconnect()
    await embedded.close()
    await rm(dir, { recursive: true, force: true })
  })
  return { redis, socketPath }
}
