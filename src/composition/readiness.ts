/** Whether a process can do its work, asked of what it needs. */
import type { ClickHouse } from '../clickhouse/client.ts'
import type { Config } from '../config.ts'
import type { Readiness } from '../http/routes/operators.ts'
import type { RedisClient } from '../redis/servers.ts'
import { isWhole } from '../redis/whole-mark.ts'

export interface ReadinessOptions {
  role: Config['ROLE']
  redis: RedisClient
  /** Undefined in a process that does not use it. */
  clickhouse: Pick<ClickHouse, 'answers'> | undefined
  /** Batches that are not stored yet. */
  pending: () => Promise<number>
  isStopping: () => boolean
}

export function makeReadiness ({ role, redis, clickhouse, pending, isStopping }: ReadinessOptions): () => Promise<Readiness> {
  return async () => {
    const [redisAnswers, whole, clickhouseAnswers, waiting] = await Promise.all([
      redis.ping().then(() => true, () => false),
      isWhole(redis).catch(() => false),
      clickhouse?.answers() ?? null,
      pending().catch(() => null)
    ])
    const stopping = isStopping()
    // What people say no by needs no ClickHouse: an api that is not asked while that is away would take it from them.
    const works = clickhouseAnswers !== false || role === 'api'
    return { ready: !stopping && redisAnswers && whole && works, stopping, redis: redisAnswers, whole, clickhouse: clickhouseAnswers, pending: waiting }
  }
}
