/** Connections to Redis: to one server, to the primary that sentinels name, or to a cluster. */
import { readFileSync } from 'node:fs'
import { Cluster, Redis, type Result } from 'ioredis'
import { writeTogether } from './one-write.ts'
import { answerWhenReplicated } from './replicas.ts'
import type { RedisClient } from './servers.ts'
import { emptySpentCommands } from './spent-commands.ts'

export interface RedisServers {
  /** The server, the sentinels, or some nodes of the cluster. */
  nodes: ReadonlyArray<{ host: string, port: number }>
  form: 'single' | 'sentinel' | 'cluster'
  /** What the sentinels call the primary. */
  primary?: string | undefined
  username?: string | undefined
  password?: string | undefined
  database?: number | undefined
  tls?: boolean | undefined
  /** Certificates that a server's must be signed by, PEM; without, those that Node brings. */
  ca?: string | undefined
  sentinelUsername?: string | undefined
  sentinelPassword?: string | undefined
  /** On how many replicas a write must be before it is acknowledged. */
  replicas?: number | undefined
}

/** Where Redis is. */
export type RedisAddress = RedisServers | ({ socketPath: string } & Pick<RedisServers, 'replicas'>)

declare module 'ioredis' {
  interface RedisCommander<Context> {
    writeConsent: (record: string, outbox: string, spent: string, security: string, count: string, ...args: Array<string | number>) => Result<string, Context>
    openErasure: (erasure: string, open: string, record: string, spent: string, security: string, ...args: Array<string | number>) => Result<string, Context>
    replacePolicy: (policy: string, outbox: string, ...args: string[]) => Result<number, Context>
    restoreConsent: (record: string, ...args: Array<string | number>) => Result<number, Context>
    restorePolicy: (policy: string, outbox: string, ...args: Array<string | number>) => Result<number, Context>
    raiseCount: (count: string, least: number) => Result<number, Context>
    startOwnExport: (ownExport: string, spent: string, security: string, ...args: Array<string | number>) => Result<string, Context>
    openChallenge: (challenge: string, open: string, opened: string, security: string, ...args: Array<string | number>) => Result<number, Context>
    recordSend: (challenge: string, sends: string, security: string, ...args: Array<string | number>) => Result<[string, number], Context>
    reserveAttempt: (challenge: string, security: string, open: string, due: string, ...args: Array<string | number>) => Result<[string, number?, string?, number?], Context>
    tellFailures: (security: string, log: string, ...args: string[]) => Result<string, Context>
    advanceCursor: (cursor: string, id: string) => Result<number, Context>
    reserveEnrolment: (enrolment: string, ...args: Array<string | number>) => Result<[string, number?, string?], Context>
    writeSecurity: (security: string, spent: string, log: string, enrolment: string, open: string, due: string, ...args: Array<string | number>) => Result<string, Context>
    succeedAttempt: (challenge: string, security: string, open: string, log: string, ...args: Array<string | number>) => Result<number, Context>
    replaceDeadBatches: (dead: string, job: string, jobId: string, read: string, data: string) => Result<number, Context>
  }
}

const scripts: ReadonlyArray<{ command: string, file: string, keys: number }> = [
  { command: 'writeConsent', file: 'write-consent.lua', keys: 5 },
  { command: 'openErasure', file: 'open-erasure.lua', keys: 5 },
  { command: 'replacePolicy', file: 'replace-policy.lua', keys: 2 },
  { command: 'restoreConsent', file: 'restore-consent.lua', keys: 1 },
  { command: 'restorePolicy', file: 'restore-policy.lua', keys: 2 },
  { command: 'raiseCount', file: 'raise-count.lua', keys: 1 },
  { command: 'startOwnExport', file: 'start-own-export.lua', keys: 3 },
  { command: 'openChallenge', file: 'open-challenge.lua', keys: 4 },
  { command: 'recordSend', file: 'record-send.lua', keys: 3 },
  { command: 'reserveAttempt', file: 'reserve-attempt.lua', keys: 4 },
  { command: 'tellFailures', file: 'tell-failures.lua', keys: 2 },
  { command: 'advanceCursor', file: 'advance-cursor.lua', keys: 1 },
  { command: 'succeedAttempt', file: 'succeed-attempt.lua', keys: 4 },
  { command: 'reserveEnrolment', file: 'reserve-enrolment.lua', keys: 1 },
  { command: 'writeSecurity', file: 'write-security.lua', keys: 6 },
  { command: 'replaceDeadBatches', file: 'replace-dead-batches.lua', keys: 2 }
]

/** For requests: fails within two seconds rather than wait for a Redis that is away. */
export function connectForRequests (address: RedisAddress): RedisClient {
  const redis = connect(address, { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 2000 })
  for (const { command, file, keys } of scripts) {
    redis.defineCommand(command, { numberOfKeys: keys, lua: readFileSync(new URL(`scripts/${file}`, import.meta.url), 'utf8') })
  }
  if (redis instanceof Redis) writeTogether(redis)
  if (address.replicas !== undefined && address.replicas > 0) answerWhenReplicated(redis, address.replicas, 1000)
  return redis
}

/** For the worker of a queue: waits as long as it takes. */
export function connectForWorker (address: RedisAddress): RedisClient {
  return connect(address, { maxRetriesPerRequest: null })
}

interface Patience { enableOfflineQueue?: boolean, maxRetriesPerRequest: number | null, commandTimeout?: number }

const retryIn = (times: number): number => Math.min(50 * times, 1000)

function connect (address: RedisAddress, patience: Patience): RedisClient {
  const redis = open(address, patience)
  // Every command reports its own failure; without a listener a lost connection would end the process.
  redis.on('error', () => {})
  emptySpentCommands(redis)
  return redis
}

function open (address: RedisAddress, patience: Patience): RedisClient {
  const server = { ...patience, lazyConnect: true, retryStrategy: retryIn, reconnectOnError: isDemoted }
  if ('socketPath' in address) return new Redis({ path: address.socketPath, ...server })
  const { nodes, form, primary, username, password, database = 0, sentinelUsername, sentinelPassword } = address
  const tls = address.tls === true ? { tls: address.ca === undefined ? {} : { ca: address.ca } } : {}
  const who = { ...username === undefined ? {} : { username }, ...password === undefined ? {} : { password } }
  if (form === 'cluster') {
    const { enableOfflineQueue = true, ...each } = patience
    return new Cluster([...nodes], { lazyConnect: true, enableOfflineQueue, clusterRetryStrategy: retryIn, slotsRefreshTimeout: 2000, redisOptions: { ...each, ...who, ...tls } })
  }
  if (form === 'single') return new Redis({ ...nodes[0], ...server, ...who, ...tls, db: database })
  return new Redis({
    ...server, ...who, ...tls, db: database,
    sentinels: [...nodes], name: primary ?? '', sentinelRetryStrategy: retryIn, sentinelCommandTimeout: 2000, connectTimeout: 2000,
    // A primary that hangs keeps its connections: that another was named must be heard from the sentinels.
    failoverDetector: true,
    ...sentinelUsername === undefined ? {} : { sentinelUsername }, ...sentinelPassword === undefined ? {} : { sentinelPassword },
    ...'tls' in tls ? { sentinelTLS: tls.tls, enableTLSForSentinelMode: true } : {}
  })
}

/** Whether the server has become a replica: the connection is made anew, to whatever is the primary now. */
function isDemoted ({ message }: Error): boolean {
  return message.startsWith('READONLY')
}
