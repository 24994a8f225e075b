/** A collector whose batches stay in the queue: it works on the Redis of a whole service that stands still. */
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { agreeingToken, signIn } from './people.ts'
import { runServer, withTemporaryDir } from './processes.ts'

export interface Collector {
  url: string
  pid: number
  /** Of a person who agreed. */
  token: string
  /** Tokens of people who have chosen nothing yet. */
  tokens: string[]
  redis: Redis
  /** The service that stands still; it stores what is queued when it goes on. */
  whole: { url: string, pause: () => void, resume: () => void }
}

/** Takes what is queued out of Redis and has its file written anew, as if a writer kept up: nothing waits, and no rewriting disturbs what comes next. */
export async function emptyQueue (redis: Redis): Promise<void> {
  for await (const keys of redis.scanStream({ match: '{assent}:events:*', count: 1000 })) if ((keys as string[]).length > 0) await redis.unlink(...keys as string[])
  const isRewriting = async (): Promise<boolean> => /aof_rewrite_(?:in_progress|scheduled):1/.test(await redis.info('persistence'))
  while (await isRewriting()) await sleep(50)
  await redis.bgrewriteaof()
  while (await isRewriting()) await sleep(50)
}

/** As docs/operations.md has a collector run, and the manifests do. */
const memoryOptions = '--max-semi-space-size=16 --max-old-space-size=1536'

interface Started { preload?: string, environment?: Record<string, string> }

/** `people`: how many `tokens` are wanted; `preload`: what each of its threads loads before the service. */
export async function withCollector<T> (people: number, use: (collector: Collector) => Promise<T>, { preload, environment }: Started = {}): Promise<T> {
  return await withTemporaryDir(async dir => {
    const whole = await runServer('src/main.ts', { DATA_DIR: dir })
    const token = await agreeingToken(whole.url)
    const tokens: string[] = []
    for (let i = 0; i < people; i++) tokens.push((await signIn(whole.url, `person${String(i)}`)).token)
    const socket = join(dir, 'redis', 'redis.sock')
    const NODE_OPTIONS = [memoryOptions, ...preload === undefined ? [] : [`--import=${resolve(preload)}`]].join(' ')
    const collector = await runServer('src/main.ts', { DATA_DIR: dir, ROLE: 'collector', REDIS_URL: `unix://${socket}`, NODE_OPTIONS, MALLOC_ARENA_MAX: '2', ...environment })
    const pause = (): void => { process.kill(whole.pid, 'SIGSTOP') }
    const resume = (): void => { process.kill(whole.pid, 'SIGCONT') }
    pause() // The queue grows meanwhile: only intake is measured.
    const redis = new Redis(socket)
    try {
      return await use({ url: collector.url, pid: collector.pid, token, tokens, redis, whole: { url: whole.url, pause, resume } })
    } finally {
      redis.disconnect()
      resume()
      process.kill(whole.pid, 'SIGKILL') // Its backlog is of no further use.
      await collector.stop()
      await sleep(500)
    }
  })
}
