/** The state in Redis is made again from ClickHouse: by `npm run ledger:rebuild`, and at a start that finds it behind. */
import type { ClickHouse } from '../clickhouse/client.ts'
import { makeHistory } from '../clickhouse/history.ts'
import { makeLedgerScan } from '../clickhouse/ledger-scan.ts'
import type { Config } from '../config.ts'
import { sealWith } from '../crypto/keyed-hash.ts'
import { isBehind, rebuildConsents, type RebuildConsentsDeps, type RebuildProgress } from '../flows/rebuild-consents.ts'
import { makeRestoredState } from '../redis/restored-state.ts'
import { isEmpty, type RedisClient } from '../redis/servers.ts'
import { forgetWhole, isWhole, noteWhole } from '../redis/whole-mark.ts'
import { repeat } from './repeat.ts'
import { openStores, secretsOf } from './stores.ts'

type OnProgress = (progress: RebuildProgress) => void

function rebuildDeps (redis: RedisClient, clickhouse: ClickHouse, ledgerKey: Buffer, onProgress: OnProgress): RebuildConsentsDeps {
  return {
    scan: makeLedgerScan(clickhouse.reader),
    history: makeHistory(clickhouse.reader),
    state: makeRestoredState(redis),
    seal: sealWith(ledgerKey),
    onProgress
  }
}

/** With REDIS_URL and CLICKHOUSE_URL it may run beside the service; without, the service must be stopped, since it holds DATA_DIR. */
export async function runRebuildConsents (config: Config, onProgress: OnProgress): Promise<RebuildProgress> {
  const closers: Array<() => Promise<unknown>> = []
  try {
    const { redis, clickhouse } = await openStores({ ...config, ROLE: 'all' }, closers, () => {})
    if (clickhouse === undefined) throw new Error('the ledger cannot be read without ClickHouse')
    const deps = rebuildDeps(redis, clickhouse, (await secretsOf(config)).ledgerKey, onProgress)
    if (await isBehind(deps)) await forgetWhole(redis)
    return await rebuildConsents(deps)
  } finally {
    for (const closer of closers.reverse()) await closer()
  }
}

/** Before anything is served: a state that knows less than the ledger would take silence for what was a no. */
export async function rebuildIfBehind (redis: RedisClient, clickhouse: ClickHouse, ledgerKey: Buffer, say: (line: string) => void): Promise<void> {
  const deps = rebuildDeps(redis, clickhouse, ledgerKey, progress => { say(`${tellRebuild(progress)}…`) })
  if (!await isBehind(deps)) return
  await forgetWhole(redis) // Nobody decides by it until it is whole again.
  const isNews = (await deps.scan.furthest()).some(furthest => furthest > 0)
  if (isNews) say('the state in Redis is behind the ledger: rebuilding…')
  const done = await rebuildConsents(deps)
  if (isNews || done.subjects > 0) say(tellRebuild(done))
  if (done.doubtful > 0) say(tellDoubt(done))
}

/**
 * For a process without ClickHouse, at its start: a Redis that holds nothing at all is taken for a new one. If it was
 * emptied after all, whoever has ClickHouse finds it behind, and the writer, which asks again, is among them.
 */
export async function isWholeOrNew (redis: RedisClient): Promise<boolean> {
  if (await isEmpty(redis)) await noteWhole(redis)
  return await isWhole(redis)
}

const lookEveryMs = 1000
const compareEveryMs = 60_000

export interface StateGuard {
  /** False from a new connection on until what Redis holds has been compared: it may be another, which a collector took for new. */
  isSure: () => boolean
  stop: () => Promise<void>
}

/**
 * Looks, as long as the process lives, whether Redis was emptied: every second by its mark, and by its counts every
 * minute and whenever the connection was made anew.
 */
export function guardState (
  redis: RedisClient, clickhouse: ClickHouse, ledgerKey: Buffer, { say, tell, now }: { say: (line: string) => void, tell: (what: 'redis-emptied' | 'rebuild-failed', error?: unknown) => void, now: () => number }
): StateGuard {
  let connections = 0
  /** The connection at which it was last compared. */
  let compared = 0
  let compareAt = now() + compareEveryMs
  const noteNew = (): void => { connections++ }
  redis.on('ready', noteNew)
  const isSure = (): boolean => compared === connections
  const guarding = repeat(async () => {
    const isMarked = await isWhole(redis)
    if (!isSure() || !isMarked || now() >= compareAt) {
      if (!isMarked) tell('redis-emptied')
      const connection = connections
      compareAt = now()
      await rebuildIfBehind(redis, clickhouse, ledgerKey, say)
      compareAt = now() + compareEveryMs
      compared = connection
    }
    return lookEveryMs
  }, error => { tell('rebuild-failed', error) }, lookEveryMs)
  return {
    isSure,
    async stop () {
      redis.off('ready', noteNew)
      await guarding.stop()
    }
  }
}

export function tellRebuild ({ subjects, entries, restored, erasures, policies }: RebuildProgress): string {
  return `${String(subjects)} subjects of ${String(entries)} entries read, ${String(restored)} restored; ${String(erasures)} erasures and ${String(policies)} policies restored`
}

export function tellDoubt ({ doubtful }: RebuildProgress): string {
  return `${String(doubtful)} subjects' entries are not as they were sealed: what they cannot prove counts as denied; verify the ledger`
}
