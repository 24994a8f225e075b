/** The processes a scenario acts on: the service in one process, or in one for each role with a Redis and a ClickHouse of their own. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeApi, type Api } from '../support/api.ts'
import { openBridge, type Bridge } from '../support/clickhouse-bridge.ts'
import type { StoredRow } from './oracle.ts'
import { startRedisServer, type RedisServer, type RedisServerOptions } from './redis-server.ts'
import { makeServiceProcess, type LaunchOptions, type ServiceProcess } from './service-process.ts'

export interface Stage {
  folder: string
  /** Where batches go: one or more, of which some may be down. */
  collectors: ServiceProcess[]
  /** Serves settings and the privacy team. */
  api: ServiceProcess
  writer: ServiceProcess
  /** What its settings say; also for processes that a scenario starts by itself. */
  launch: LaunchOptions
  /** The requests of people and of the team. */
  people: Api
  /** The mail of people, which the process that delivers it holds. */
  mail: Api
  sql: <Row>(query: string) => Promise<Row[]>
  redisSocket: string
  close: () => Promise<void>
}

export interface Apart extends Stage { redis: RedisServer, clickhouse: Bridge }

export interface StageOptions {
  /** Another copy of the sources. */
  root?: string
  environment?: Record<string, string>
  collectors?: number
  /** Directories that lie elsewhere, on a disk of their own. */
  folder?: string
  redis?: RedisServerOptions
  /** More settings of the process of a role. */
  settingsOf?: (role: string) => Record<string, string>
}

const root = join(import.meta.dirname, '..', '..')

/** Everything in one process, with the embedded Redis and ClickHouse. */
export async function setTogether (options: StageOptions = {}): Promise<Stage> {
  const folder = options.folder ?? await mkdtemp(join(tmpdir(), 'assent-fault-'))
  const launch = { root: options.root ?? root, environment: { DATA_DIR: join(folder, 'data'), RATE_LIMITS: 'off', UV_THREADPOOL_SIZE: '16', ...options.environment } }
  const all = makeServiceProcess(launch)
  await all.start()
  const api = makeApi(() => all.url())
  return {
    folder, launch, collectors: [all], api: all, writer: all, people: api, mail: api,
    sql: async query => await api.sql(query),
    redisSocket: join(folder, 'data', 'redis', 'redis.sock'),
    async close () {
      await all.end('SIGKILL')
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}

/** A process for each role. */
export async function setApart (options: StageOptions = {}): Promise<Apart> {
  const folder = options.folder ?? await mkdtemp(join(tmpdir(), 'assent-fault-'))
  const redisFolder = join(folder, 'redis')
  await mkdir(redisFolder, { recursive: true })
  const redis = await startRedisServer(redisFolder, options.redis)
  const clickhouse = await openBridge(join(folder, 'clickhouse'))
  const launch = {
    root: options.root ?? root,
    environment: { DATA_DIR: join(folder, 'data'), RATE_LIMITS: 'off', REDIS_URL: `unix://${redis.socket}`, CLICKHOUSE_URL: clickhouse.url, CLICKHOUSE_TIMEOUT: '5s', ...options.environment }
  }
  const inRole = (ROLE: string): ServiceProcess => makeServiceProcess({ ...launch, environment: { ...launch.environment, ...options.settingsOf?.(ROLE), ROLE } })
  const api = inRole('api')
  const writer = inRole('writer')
  const collectors = Array.from({ length: options.collectors ?? 1 }, () => inRole('collector'))
  await api.start() // Alone at first: it makes the keys and the tables.
  await Promise.all([writer, ...collectors].map(async service => await service.start()))
  return {
    folder, launch, collectors, api, writer, redis, clickhouse, redisSocket: redis.socket,
    people: makeApi(() => api.url()),
    mail: makeApi(() => writer.url()),
    sql: async query => await askBridge(clickhouse.url, query),
    async close () {
      await Promise.all([api, writer, ...collectors].map(async service => await service.end('SIGKILL')))
      await redis.kill()
      await clickhouse.kill()
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}

/** Asks ClickHouse itself, past the service. */
async function askBridge<Row> (url: string, query: string): Promise<Row[]> {
  const response = await fetch(url, { method: 'POST', body: `${query} FORMAT JSONEachRow`, headers: { 'x-clickhouse-user': 'default', 'x-clickhouse-key': '' } })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`ClickHouse refused: ${text}`)
  return text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Row)
}

/** All stored events, in portions: an answer has a limit of rows. */
export async function readStored (stage: Pick<Stage, 'sql'>): Promise<StoredRow[]> {
  const rows: StoredRow[] = []
  for (const digit of '0123456789abcdef') {
    rows.push(...await stage.sql<StoredRow>(`SELECT toString(event_id) AS event_id, name, version, toString(occurred_at) AS occurred_at, properties FROM events_v WHERE startsWith(toString(event_id), '${digit}')`))
  }
  return rows
}
