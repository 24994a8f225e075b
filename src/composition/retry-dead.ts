/** `npm run queue:retry`: batches that were given up are offered to the writer again. */
import type { Config } from '../config.ts'
import { offerDeadAgain } from '../redis/dead-batches.ts'
import { openRedis } from './stores.ts'

/** With REDIS_URL it may run beside the service; without, the service must be stopped, since its Redis is its own. */
export async function runRetryDead (config: Config, onProgress: (offered: number) => void): Promise<number> {
  const closers: Array<() => Promise<unknown>> = []
  try {
    const { redis } = await openRedis(config, closers, () => {})
    return await offerDeadAgain(redis, onProgress)
  } finally {
    for (const closer of closers.reverse()) await closer()
  }
}
