/** Opens what a process stands on: the data directory, Redis, ClickHouse, secrets; embedded where nothing is configured. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectRemote, openEmbedded, type ClickHouse } from '../clickhouse/client.ts'
import { checkCluster } from '../clickhouse/cluster.ts'
import { migrate } from '../clickhouse/migrate.ts'
import type { Config } from '../config.ts'
import { configuredSecrets, developmentSecrets, type Secrets } from '../crypto/secrets.ts'
import { openDataDir, type DataDir } from './data-dir.ts'
import { connectForRequests, connectForWorker, type RedisAddress } from '../redis/client.ts'
import { startEmbeddedRedis } from '../redis/embedded.ts'
import { findVolatility, type RedisClient } from '../redis/servers.ts'

export interface Stores {
  /** Fails fast. */
  redis: RedisClient
  /** A new connection that waits for Redis as long as it takes, for a worker. */
  redisForWorker: () => RedisClient
  /** Undefined in a process that neither stores nor answers from it. */
  clickhouse: ClickHouse | undefined
}

type Closers = Array<() => Promise<unknown>>
type OnTrouble = (what: 'redis-restarted') => void

const connectWithinMs = 10_000
const migrationsDir = new URL('../../migrations', import.meta.url).pathname

/** Opens all stores; what must be closed is added to `closers`, also when a later store cannot be opened. */
export async function openStores (config: Config, closers: Closers, onTrouble: OnTrouble): Promise<Stores> {
  const needsClickHouse = config.ROLE !== 'collector'
  const dataDir = needsClickHouse && config.CLICKHOUSE_URL === undefined && config.REDIS_URL !== undefined ? await holdDataDir(config, closers) : undefined
  const redis = await openRedis(config, closers, onTrouble)
  const path = dataDir?.path ?? redis.dataDir?.path
  return { redis: redis.redis, redisForWorker: redis.redisForWorker, clickhouse: needsClickHouse ? await openClickHouse(config, path, closers) : undefined }
}

async function holdDataDir (config: Config, closers: Closers): Promise<DataDir> {
  const dataDir = await openDataDir(config.DATA_DIR)
  closers.push(dataDir.release)
  return dataDir
}

/** The Redis of the settings, or one of this process's own in its data directory. */
export async function openRedis (config: Config, closers: Closers, onTrouble: OnTrouble): Promise<Omit<Stores, 'clickhouse'> & { dataDir: DataDir | undefined }> {
  let address: RedisAddress
  let dataDir: DataDir | undefined
  if (config.REDIS_URL !== undefined) {
    address = await remoteAddress(config, config.REDIS_URL)
  } else {
    dataDir = await holdDataDir(config, closers)
    const embedded = await startEmbeddedRedis({
      dir: join(dataDir.path, 'redis'), socketPath: dataDir.socketPath('redis/redis.sock'), readyWithinMs: 60_000, onRestart: () => { onTrouble('redis-restarted') }
    })
    closers.push(embedded.close)
    address = { socketPath: embedded.socketPath }
  }
  const redis = connectForRequests(address)
  closers.push(async () => { redis.disconnect(); await Promise.resolve() })
  // Sentinels that do not answer are asked again without end; a start does not wait for that.
  const tooLate = sleep(connectWithinMs, undefined, { ref: false }).then(() => { throw new Error('no answer in time') })
  await Promise.race([redis.connect(), tooLate]).catch((cause: unknown) => { throw new Error('REDIS_URL cannot be reached', { cause }) })
  if (!config.ALLOW_VOLATILE_REDIS) {
    const volatility = await findVolatility(redis).catch(() => 'its settings cannot be read')
    if (volatility !== undefined) throw new Error(`Redis would lose acknowledged events: ${volatility} (ALLOW_VOLATILE_REDIS=1 starts all the same)`)
  }
  return { redis, redisForWorker: () => connectForWorker(address), dataDir }
}

async function remoteAddress (config: Config, url: NonNullable<Config['REDIS_URL']>): Promise<RedisAddress> {
  if ('socketPath' in url) return { ...url, replicas: config.REDIS_REPLICAS_MIN }
  return {
    ...url,
    ca: await readCa('REDIS_CA_FILE', config.REDIS_CA_FILE),
    sentinelUsername: config.REDIS_SENTINEL_USER,
    sentinelPassword: config.REDIS_SENTINEL_PASSWORD,
    replicas: config.REDIS_REPLICAS_MIN
  }
}

/** The certificates in a file, which must hold at least one. */
async function readCa (variable: string, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const pem = await readFile(file, 'utf8').catch((cause: unknown) => { throw new Error(`${variable} ${file} cannot be read`, { cause }) })
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`${variable} ${file} holds no certificate in PEM`)
  return pem
}

async function openClickHouse (config: Config, dataDir: string | undefined, closers: Closers): Promise<ClickHouse> {
  let clickhouse
  if (config.CLICKHOUSE_URL !== undefined) {
    clickhouse = connectRemote({
      url: config.CLICKHOUSE_URL,
      username: config.CLICKHOUSE_USER,
      password: config.CLICKHOUSE_PASSWORD,
      reader: config.CLICKHOUSE_READER_USER === undefined ? undefined : { username: config.CLICKHOUSE_READER_USER, password: config.CLICKHOUSE_READER_PASSWORD },
      database: config.CLICKHOUSE_DATABASE,
      ca: await readCa('CLICKHOUSE_CA_FILE', config.CLICKHOUSE_CA_FILE),
      cluster: config.CLICKHOUSE_CLUSTER,
      compression: config.CLICKHOUSE_COMPRESSION,
      requestTimeoutMs: config.CLICKHOUSE_TIMEOUT
    })
  } else {
    const directory = join(dataDir ?? config.DATA_DIR, 'clickhouse')
    await mkdir(directory, { recursive: true })
    clickhouse = await openEmbedded(directory)
  }
  closers.push(clickhouse.close)
  const { client, reader } = clickhouse
  const answers = async (asked: typeof client, otherwise: string): Promise<void> => {
    await asked.query({ query: 'SELECT 1', format: 'JSONEachRow' }).then(async answer => await answer.text()).catch((cause: unknown) => { throw new Error(otherwise, { cause }) })
  }
  await answers(client, config.CLICKHOUSE_URL === undefined ? 'the embedded ClickHouse does not answer' : 'CLICKHOUSE_URL cannot be reached, or does not accept the user')
  if (config.CLICKHOUSE_READER_USER !== undefined) await answers(reader, 'CLICKHOUSE_URL does not accept CLICKHOUSE_READER_USER')
  if (config.CLICKHOUSE_CLUSTER !== undefined) await checkCluster(client, config.CLICKHOUSE_CLUSTER)
  await migrate(client, migrationsDir, config.CLICKHOUSE_CLUSTER)
  return clickhouse
}

/** The secrets given, or in development those of the data directory, made at its first start. */
export async function secretsOf (config: Config): Promise<Secrets> {
  const { PSEUDONYM_KEY: pseudonymKey, LEDGER_KEY: ledgerKey, VERIFICATION_PEPPER: verificationPepper, SEAL_KEYS: sealKeys, VERIFICATION_KEYS_FILE: file } = config
  if (pseudonymKey !== undefined && ledgerKey !== undefined && verificationPepper !== undefined && sealKeys !== undefined && file !== undefined) {
    const configured = await configuredSecrets({ pseudonymKey, ledgerKey, verificationPepper, sealKeys, verificationKeysFile: file })
    return config.devTools ? { ...configured, developmentKey: (await developmentSecrets(config.DATA_DIR)).developmentKey } : configured
  }
  const made = await developmentSecrets(config.DATA_DIR)
  return {
    ...made,
    pseudonymKey: pseudonymKey ?? made.pseudonymKey,
    ledgerKey: ledgerKey ?? made.ledgerKey,
    verificationPepper: verificationPepper ?? made.verificationPepper,
    sealKeys: sealKeys ?? made.sealKeys,
    verificationKeys: file === undefined ? made.verificationKeys : (await configuredSecrets({ ...made, verificationKeysFile: file })).verificationKeys
  }
}
