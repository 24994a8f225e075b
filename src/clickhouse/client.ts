/** ClickHouse through its official client: a remote server, or the engine in this process. */
import { ClickHouseLogLevel, createClient, type ClickHouseClient, type ClickHouseClientConfigOptions, type ClickHouseError } from '@clickhouse/client'
import { onReplicas } from './cluster.ts'
import { oneAtATime } from './one-at-a-time.ts'

export interface RemoteOptions {
  url: string
  username: string
  password: string
  /** Who reads for the privacy team; without, the same user, held to reading by its connection. */
  reader?: { username: string, password: string } | undefined
  database: string
  /** Authorities that the server's certificate may be signed by, PEM; without, those that Node brings. */
  ca?: string | undefined
  /** The cluster whose replicas hold the tables. */
  cluster?: string | undefined
  compression: boolean
  requestTimeoutMs: number
}

export interface ClickHouse {
  /** Reads and writes. */
  client: ClickHouseClient
  /** Reads only, within limits of time, memory and rows. */
  reader: ClickHouseClient
  /** Whether it answers, within two seconds where it is remote. */
  answers: () => Promise<boolean>
  close: () => Promise<void>
}

/** What the engine itself answers, remote or embedded. Each throws a class of its own, so it is told by its numeric code. */
export function isClickHouseError (error: unknown): error is ClickHouseError {
  return error instanceof Error && 'type' in error && 'code' in error && typeof error.code === 'string' && /^[0-9]+$/.test(error.code)
}

/** A server that hangs is asked by probes and scrapes, which wait less long than a query may. */
const answeredWithinMs = 2000
const readerLimits = { max_execution_time: 30, max_memory_usage: '2000000000', max_result_rows: '1000000' } as const

export function connectRemote (options: RemoteOptions): ClickHouse {
  const { url, username, password, database, ca, requestTimeoutMs, compression } = options
  const shared = {
    url, username, password, database,
    application: 'assent',
    request_timeout: requestTimeoutMs,
    compression: { request: compression, response: compression },
    max_open_connections: 10,
    ...ca === undefined ? {} : { tls: { ca_cert: Buffer.from(ca) } },
    log: { level: ClickHouseLogLevel.OFF } // It would quote statements and rows; who calls says what failed.
  }
  const exact = options.cluster === undefined ? { write: {}, read: {} } : onReplicas
  // Events go through a view, whose failure must be the insert's.
  const client = createClient({ ...shared, clickhouse_settings: { materialized_views_ignore_errors: 0, ...exact.write } })
  const reader = createClient({ ...shared, ...options.reader, clickhouse_settings: { readonly: '1', ...readerLimits, ...exact.read } })
  return {
    client,
    reader,
    answers: async () => (await client.ping({ select: false, abort_signal: AbortSignal.timeout(answeredWithinMs) })).success,
    close: async () => { await Promise.all([client.close(), reader.close()]) }
  }
}

/**
 * Opens the engine in this process on a directory that no other process has open.
 * @throws with one clear line when chDB is not installed or the directory is in use
 */
export async function openEmbedded (directory: string): Promise<ClickHouse> {
  const { createChdbConnection } = await import('chdb/connection').catch((cause: unknown) => {
    throw new Error('the optional package chdb is not installed; install it, or set CLICKHOUSE_URL', { cause })
  })
  // The two packages each bring the same interface, but not one that the compiler takes for the same.
  const connect = (): ClickHouseClient => createClient({
    connection: oneAtATime(createChdbConnection({ path: directory }) as unknown as NonNullable<ClickHouseClientConfigOptions['connection']>)
  })
  const client = connect()
  const reader = connect()
  // Settings of an embedded connection last as long as it does; readonly comes last, for it forbids any other.
  const limits = Object.entries(readerLimits).map(([name, value]) => `${name} = ${value}`)
  await reader.command({ query: `SET ${limits.join(', ')}, readonly = 1` })
  return { client, reader, answers: async () => (await client.ping()).success, close: async () => { await Promise.all([client.close(), reader.close()]) } }
}
