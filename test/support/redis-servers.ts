/** Redis servers as a production has them: with TLS and users, with a replica and sentinels, as a cluster. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import type { Test } from 'tap'

export const tlsDir = join(import.meta.dirname, '..', 'fixtures', 'tls')

export interface RedisServer {
  port: number
  /** Where it keeps its data. */
  dir: string
  process: ChildProcess
  /** A connection of the test's own, as an administrator. */
  admin: Redis
  /** Ends it at once. */
  kill: () => Promise<void>
}

/** What a Redis of the service must have. */
const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--maxmemory-policy', 'noeviction']
const tlsArgs = (port: number): string[] => [
  '--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-replication', 'yes',
  '--tls-cert-file', join(tlsDir, 'server.pem'), '--tls-key-file', join(tlsDir, 'server-key.pem'), '--tls-ca-cert-file', join(tlsDir, 'ca.pem')
]

/** Starts one on a free port, and resolves when it answers. `args` come after what every Redis of the service needs. */
export async function startRedisServer (t: Test, args: readonly string[] = [], { tls = false, port }: { tls?: boolean, port?: number } = {}): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), 'assent-redis-'))
  const own = port ?? await freePort()
  return await launch(t, dir, own, ['--dir', dir, '--bind', '127.0.0.1', ...tls ? tlsArgs(own) : ['--port', String(own)], ...durable, ...args], tls)
}

/** A sentinel that watches a primary on this machine under the name `mymaster`. */
export async function startSentinel (t: Test, primary: number, quorum: number): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), 'assent-sentinel-'))
  const file = join(dir, 'sentinel.conf')
  await writeFile(file, [
    `sentinel monitor mymaster 127.0.0.1 ${String(primary)} ${String(quorum)}`, 'sentinel down-after-milliseconds mymaster 1000', 'sentinel failover-timeout mymaster 5000', ''
  ].join('\n'))
  const port = await freePort()
  return await launch(t, dir, port, [file, '--sentinel', '--bind', '127.0.0.1', '--port', String(port), '--dir', dir], false)
}

/** A cluster of three primaries, without replicas. */
export async function startCluster (t: Test): Promise<RedisServer[]> {
  const nodes = await Promise.all([1, 2, 3].map(async () => await startRedisServer(t, ['--cluster-enabled', 'yes', '--cluster-node-timeout', '3000', '--cluster-port', String(await freePort())])))
  await promisify(execFile)('redis-cli', ['--cluster', 'create', ...nodes.map(({ port }) => `127.0.0.1:${String(port)}`), '--cluster-yes'])
  const deadline = Date.now() + 30_000
  while (!(await Promise.all(nodes.map(async ({ admin }) => await admin.cluster('INFO')))).every(info => info.includes('cluster_state:ok'))) {
    if (Date.now() > deadline) throw new Error('the cluster has not formed')
  }
  return nodes
}

async function launch (t: Test, dir: string, port: number, args: readonly string[], tls: boolean): Promise<RedisServer> {
  const child = spawn('redis-server', args, { stdio: 'ignore' })
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  const admin = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50, maxRetriesPerRequest: 200, enableReadyCheck: false, ...tls ? { tls: { rejectUnauthorized: false } } : {} })
  admin.on('error', () => {}) // It is not up yet, or killed.
  t.teardown(async () => {
    admin.disconnect()
    await kill()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  await admin.ping()
  return { port, dir, process: child, admin, kill }
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
