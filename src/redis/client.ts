/** Connections to Redis, and whether it keeps what it says it keeps. */
import { readFileSync } from 'node:fs'
import { Redis, type Result } from 'ioredis'

/** Where Redis is: a URL, or the path of a Unix socket. */
export type RedisAddress = { url: string } | { socketPath: string }

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
  { command: 'writeSecurity', file: 'write-security.lua', keys: 6 }
]

/** For requests: fails within two seconds rather than wait for a Redis that is away. */
export function connectForRequests (address: RedisAddress): Redis {
  const redis = connect(address, { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 2000 })
  for (const { command, file, keys } of scripts) {
    redis.defineCommand(command, { numberOfKeys: keys, lua: readFileSync(new URL(`scripts/${file}`, import.meta.url), 'utf8') })
  }
  return redis
}

/** For the worker of a queue: waits as long as it takes. */
export function connectForWorker (address: RedisAddress): Redis {
  return connect(address, { maxRetriesPerRequest: null })
}

function connect (address: RedisAddress, options: { enableOfflineQueue?: boolean, maxRetriesPerRequest: number | null, commandTimeout?: number }): Redis {
  const all = { ...options, lazyConnect: true, retryStrategy: (times: number) => Math.min(50 * times, 1000) }
  const redis = 'url' in address ? new Redis(address.url, all) : new Redis({ path: address.socketPath, ...all })
  // Every command reports its own failure; without a listener a lost connection would end the process.
  redis.on('error', () => {})
  return redis
}

/** What is wrong with how a Redis keeps data, as one line; undefined when an acknowledged write survives a power cut. */
export async function findVolatility (redis: Redis): Promise<string | undefined> {
  const read = async (name: string): Promise<string | undefined> => {
    const answer = await redis.config('GET', name) as string[] | Record<string, string>
    return Array.isArray(answer) ? answer[1] : answer[name]
  }
  const [appendOnly, fsync, policy] = await Promise.all([read('appendonly'), read('appendfsync'), read('maxmemory-policy')])
  if (appendOnly !== 'yes') return `its appendonly is "${appendOnly ?? 'unknown'}" and must be "yes"`
  if (fsync !== 'always') return `its appendfsync is "${fsync ?? 'unknown'}" and must be "always"`
  if (policy !== 'noeviction') return `its maxmemory-policy is "${policy ?? 'unknown'}" and must be "noeviction"`
  return undefined
}
