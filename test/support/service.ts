/** A whole service for a test: its own Redis, its own ClickHouse engine, its own directory; gone when the test ends. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import type { Test } from 'tap'
import { readConfig } from '../../src/config.ts'
import { startService, type Service } from '../../src/composition/service.ts'
import { makeApi, type Api } from './api.ts'

export interface TestService extends Api {
  service: Service
  /** A connection of the test's own to the service's Redis. */
  redis: Redis
  dataDir: string
  /** Everything the service logged, one line each. */
  logs: string[]
  /** Closes the service and starts it again on the same directory. */
  restart: () => Promise<void>
  /** The number of rows that a FROM clause (with what follows it) yields. */
  count: (from: string) => Promise<number>
}

/** Tests share a machine, and are not about its load. */
const patient = { EVENT_LOOP_DELAY_MAX_MS: '60000', INTAKE_BATCHES_MAX: '10000', INTAKE_THREADS: '0' }

/** chDB opens one directory per process, so a test file has one service at a time. */
export async function startTestService (t: Test, environment: Record<string, string> = {}): Promise<TestService> {
  const dataDir = await mkdtemp(join(tmpdir(), 'assent-test-'))
  const logs: string[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => { logs.push(line) } })
  const config = readConfig({ NODE_ENV: 'test', PORT: '0', DATA_DIR: dataDir, RATE_LIMITS: 'off', ...patient, ...environment })
  let service = await startService(config, logger)
  const address = environment['REDIS_URL'] ?? join(dataDir, 'redis', 'redis.sock')
  const redis = new Redis(address)
  redis.on('error', () => {}) // It goes away with a service that is restarted.
  t.teardown(async () => {
    redis.disconnect()
    await service.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  const api = makeApi(() => service.url)
  return {
    ...api,
    get service () { return service },
    redis,
    dataDir,
    logs,
    async restart () {
      await service.close()
      service = await startService(config, logger)
    },
    count: async from => Number((await api.sql<{ n: number | string }>(`SELECT count() AS n FROM ${from}`))[0]?.n)
  }
}

/** Asks until the answer is yes; fails loudly when it does not come. */
export async function eventually (what: string, ask: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!await ask()) {
    if (Date.now() > deadline) throw new Error(`this did not happen within ${String(withinMs)} ms: ${what}`)
    await sleep(50)
  }
}

export const uuid = randomUUID

/** Lets time pass, for this process and so for the service in it; never back. The clients of `api.ts` keep the real time. */
export function passTime (t: Test): (ms: number) => void {
  const real = Date.now
  let aheadMs = 0
  Date.now = () => real() + aheadMs
  t.teardown(() => { Date.now = real })
  return ms => { aheadMs += ms }
}
