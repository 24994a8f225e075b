/** How fast the questions of the privacy team are answered, and how that grows with the data. */
import { execFile } from 'node:child_process'
import { mkdir, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { startEmbeddedRedis } from '../src/redis/embedded.ts'
import { keyIn } from '../src/redis/keys.ts'
import { median, percentile, spreadOf } from './figures.ts'
import type { Options } from './part.ts'
import { call } from './people.ts'
import { questions, type Asked, type Question } from './privacy-questions.ts'
import { entriesPerAccount, eventsPerAccount, overDays } from './privacy-scale.ts'
import { runServer, withTemporaryDir } from './processes.ts'
import type { Row } from './table.ts'

/** Found by measuring, with room: nearly three times what the rows take in the end, for merges write anew what they read, and that stays for minutes. */
const bytesPerAccount = 12_000

/** Of fewer a tenth would not fill the pages and the check that are asked for. */
const accountsMin = 100_000

/** p95 of each run, ms. */
interface Measured { ours: number[], bare: number[] }

/** A tenth of the accounts is measured first. The service only answers: nobody writes meanwhile. */
export async function measurePrivacy ({ runs, accounts, say }: Options): Promise<Row[]> {
  if (accounts < accountsMin) throw new Error(`--accounts must be at least ${String(accountsMin)}`)
  await refuseLittleDisk(accounts)
  const start = Date.now() - overDays * 86_400_000
  const tenth = Math.floor(accounts / 10)
  return await withTemporaryDir(async dir => {
    await fill(dir, 0, tenth, start)
    const few = await measureAll(dir, tenth, runs, say)
    await fill(dir, tenth, accounts, start)
    const all = await measureAll(dir, accounts, runs, say)
    say(`privacy: measured on ${String(accounts)} accounts, ${String(accounts * entriesPerAccount)} ledger entries, ${String(accounts * eventsPerAccount)} events`)
    return questions.map(({ what, target }, index): Row => {
      const { ours, bare } = all[index]!
      return {
        what: `p95 of ${what}`,
        value: median(ours),
        unit: 'ms',
        against: { what: 'bare query, same connection', value: median(bare) },
        ...(target === undefined ? {} : { target }),
        growth: median(ours) / median(few[index]!.ours),
        spread: spreadOf(ours, bare)
      }
    })
  })
}

async function refuseLittleDisk (accounts: number): Promise<void> {
  const { bavail, bsize } = await statfs(tmpdir())
  const needed = accounts * bytesPerAccount
  if (bavail * bsize < needed) {
    throw new Error(`${String(accounts)} accounts need ${gigabytes(needed)} GB in ${tmpdir()}, which has ${gigabytes(bavail * bsize)} GB; use fewer with --accounts`)
  }
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1)

/** Adds the accounts after `before`, and tells Redis how far the ledger is: it would be made again from the ledger at the start otherwise. */
async function fill (dir: string, before: number, last: number, start: number): Promise<void> {
  const filling = promisify(execFile)(process.execPath, ['bench/privacy-data.ts', join(dir, 'clickhouse'), ...[before, last, start].map(String)])
  filling.child.stderr?.pipe(process.stderr)
  const furthest = JSON.parse((await filling).stdout) as Array<{ partition: number, furthest: number | string }>
  await withRedis(dir, async (_url, redis) => {
    await redis.mset(furthest.flatMap(({ partition, furthest }) => [keyIn(partition, 'ledger-count'), String(furthest)]))
    await redis.set(keyIn(0, 'whole'), '1')
  })
}

async function withRedis<T> (dir: string, use: (url: string, redis: Redis) => Promise<T>): Promise<T> {
  await mkdir(join(dir, 'redis'), { recursive: true })
  const { socketPath, close } = await startEmbeddedRedis({ dir: join(dir, 'redis'), socketPath: join(dir, 'redis.sock'), readyWithinMs: 60_000, onRestart: () => {} })
  const redis = new Redis(socketPath)
  try {
    return await use(`unix://${socketPath}`, redis)
  } finally {
    redis.disconnect()
    await close()
  }
}

async function measureAll (dir: string, accounts: number, runs: number, say: Options['say']): Promise<Measured[]> {
  return await withRedis(dir, async redisUrl => {
    const service = await runServer('src/main.ts', { DATA_DIR: dir, ROLE: 'api', REDIS_URL: redisUrl })
    const { body: { access_token: token } } = await call(service.url, 'POST', '/dev/token', { body: { sub: 'bench', scope: 'privacy:read', expires_in: 86_400 } })
    const measured = questions.map((): Measured => ({ ours: [], bare: [] }))
    for (let run = 0; run <= runs; run++) {
      for (const [index, question] of questions.entries()) {
        const { ours, bare } = await measureOne(service.url, token, question, accounts)
        if (run === 0) continue // Warms everything up.
        measured[index]!.ours.push(ours)
        measured[index]!.bare.push(bare)
        say(`privacy ${String(run)}/${String(runs)} of ${String(accounts)} accounts: ${question.what}: p95 ${ours.toFixed(0)} ms, bare ${bare.toFixed(0)} ms`)
      }
    }
    await service.stop()
    return measured
  })
}

async function measureOne (url: string, token: string, { what, times, make }: Question, accounts: number): Promise<{ ours: number, bare: number }> {
  const [ours, bare]: [number[], number[]] = [[], []]
  for (let time = 0; time < times; time++) {
    const asked = make(accounts)
    bare.push(await timed(async () => { await askBare(url, asked) }))
    ours.push(await timed(async () => {
      const { body } = await call(url, asked.method, asked.path, { token, body: asked.body, headers: { 'purpose-of-use': 'benchmark' } })
      if (!asked.holds(body)) throw new Error(`the answer to "${what}" does not hold what it should`)
    }))
  }
  return { ours: percentile(ours, 0.95), bare: percentile(bare, 0.95) }
}

/** On the connection that the service itself reads with. */
async function askBare (url: string, { sql }: Asked): Promise<void> {
  const response = await fetch(`${url}/dev/sql`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: sql })
  const text = await response.text()
  if (!response.ok) throw new Error(`the bare query was answered ${String(response.status)}: ${text}`)
}

async function timed (work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}
