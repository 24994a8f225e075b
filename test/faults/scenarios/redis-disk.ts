/** The disk under Redis' append-only file: full, slow, or with so much on it that a start takes long. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Crowd } from '../crowd.ts'
import { fill, whyNoSmallDisk, withSmallDisk } from '../disk.ts'
import type { RedisServer } from '../redis-server.ts'
import { play, until, type Form, type Outcome, type Scenario, type Scene } from '../scene.ts'
import { setApart, type Apart } from '../stage.ts'
import { supervise } from '../supervise.ts'
import { slowDown, whyNotTraced } from '../system-calls.ts'

const crowd = { changes: true }
const refused = ({ answers }: Crowd): number => answers.get(503) ?? 0

async function diskFull (form: Form): Promise<Outcome> {
  return await withSmallDisk(256, async disk =>
    await play(form, async () => await setApart({ redis: { data: disk } }), { crowd }, async ({ stage, crowd, random, form }) => {
      const times = form.short ? 2 : 10
      const supervisor = supervise(stage.redis, () => {})
      const noSpaceSaid = async (): Promise<number> => (await readFile(join(stage.folder, 'redis', 'redis.log'), 'utf8')).split('from AOF write error').length
      try {
        for (let time = 1; time <= times; time++) {
          const [saidBefore, deathsBefore, refusedBefore] = [await noSpaceSaid(), supervisor.deaths(), refused(crowd)]
          const makeRoom = await fill(disk, random.between(0, 50_000))
          await until('Redis finds the disk full', async () => await noSpaceSaid() > saidBefore, 60_000)
          await sleep(form.short ? 4000 : 20_000)
          await makeRoom()
          form.say(`full ${String(time)} of ${String(times)}: Redis has ended ${String(supervisor.deaths() - deathsBefore)} times, ${String(refused(crowd) - refusedBefore)} batches refused`)
          if (refused(crowd) === refusedBefore) throw new Error('no batch was answered 503 while the disk was full')
          await crowd.more(20)
        }
        return times
      } finally {
        await supervisor.end()
      }
    }))
}

async function diskSlow (form: Form): Promise<Outcome> {
  return await play(form, setApart, { crowd }, async ({ stage: { redis }, crowd, form }) => {
    const delaysMs = form.short ? [100, 2500] : [20, 100, 500, 2500, 100, 2500]
    for (const delayMs of delaysMs) {
      const [acknowledgedBefore, refusedBefore] = [crowd.acknowledgedBatches(), refused(crowd)]
      const makeFast = await slowDown(redis.pid(), 'fdatasync', delayMs)
      await sleep(form.short ? 8000 : 30_000)
      await makeFast()
      form.say(`each fdatasync ${String(delayMs)} ms late: ${String(crowd.acknowledgedBatches() - acknowledgedBefore)} batches acknowledged, ${String(refused(crowd) - refusedBefore)} refused`)
      if (delayMs <= 500 && crowd.acknowledgedBatches() === acknowledgedBefore) throw new Error('no batch was acknowledged meanwhile')
      if (delayMs > 2000 && refused(crowd) === refusedBefore) throw new Error('no batch was answered 503 though Redis answered too late')
      await crowd.more(20)
    }
    return delaysMs.length
  })
}

/** Writes commands that Redis must repeat when it starts, over keys that are few, so that only the file grows. */
async function lengthenFile (redis: RedisServer, commands: number): Promise<void> {
  const each = 20_000
  const script = `for i = 1, ${String(each)} do redis.call('SET', KEYS[1] .. i, ARGV[1]) end`
  await redis.ask(async connection => {
    for (let written = 0; written < commands; written += each) await connection.eval(script, 1, 'assent-fault:', 'x'.repeat(100))
  })
}

type Saying = 'nothing' | 'LOADING' | 'PONG'

async function hear (socket: string): Promise<Saying> {
  const redis = new Redis({ path: socket, lazyConnect: true, enableReadyCheck: false, retryStrategy: null, maxRetriesPerRequest: 0 })
  redis.on('error', () => {})
  try {
    await redis.connect()
    await redis.ping()
    return 'PONG'
  } catch (error) {
    return (error as Error).message.startsWith('LOADING') ? 'LOADING' : 'nothing'
  } finally {
    redis.disconnect()
  }
}

/** Starts Redis again and sees what the service says while Redis reads its file. Resolves with for how long that was, and until a batch was taken again, ms. */
async function startAndLoad ({ stage: { redis, api, collectors }, crowd }: Scene<Apart>): Promise<[loadingMs: number, backMs: number]> {
  await redis.kill()
  const starting = redis.start()
  starting.catch(() => {}) // What it says is heard below.
  let since: number | undefined
  let answers: number[] = []
  for (let says = await hear(redis.socket); says !== 'PONG'; says = await hear(redis.socket)) {
    if (says === 'LOADING') {
      since ??= performance.now()
      const acknowledged = crowd.acknowledgedBatches()
      const asked = await Promise.all([api, ...collectors].map(async service => (await fetch(`${service.url()}/health/ready`)).status))
      if (await hear(redis.socket) !== 'LOADING') continue
      if (crowd.acknowledgedBatches() > acknowledged) throw new Error('a batch was acknowledged while Redis was loading')
      answers = [...answers, ...asked]
    }
    await sleep(20)
  }
  const loaded = performance.now()
  if (since === undefined || answers.length === 0) throw new Error('Redis was not seen loading; its file must be longer')
  if (answers.some(status => status !== 503)) throw new Error(`while Redis was loading a service said ${answers.join()} of whether it is ready`)
  await starting
  await crowd.more(1)
  const backMs = performance.now() - loaded
  await until('all are ready', async () => (await Promise.all([api, ...collectors].map(async service => (await fetch(`${service.url()}/health/ready`)).status))).every(status => status === 200), 60_000)
  return [loaded - since, backMs]
}

async function largeFile (form: Form): Promise<Outcome> {
  const told: string[] = []
  const outcome = await play(form, async () => await setApart({ redis: { settings: ['--auto-aof-rewrite-percentage', '0'] } }), { crowd }, async scene => {
    await lengthenFile(scene.stage.redis, form.short ? 600_000 : 6_000_000)
    const times = form.short ? 1 : 3
    for (let time = 1; time <= times; time++) {
      const seconds = (await startAndLoad(scene)).map(ms => (ms / 1000).toFixed(1))
      told.push(`${seconds[0]!} s loading, a batch taken ${seconds[1]!} s later`)
      form.say(told.at(-1)!)
      await scene.crowd.more(20)
    }
    return times
  })
  return { ...outcome, note: [...told, ...outcome.note === undefined ? [] : [outcome.note]].join('; ') }
}

export const redisDisk: readonly Scenario[] = [
  { name: 'redis-disk-full', about: 'the disk under Redis is full, then has room again; Redis ends each time it cannot write, and is started again', cannot: whyNoSmallDisk, run: diskFull },
  { name: 'redis-disk-slow', about: 'the disk under Redis is slow, up to slower than the service waits', cannot: whyNotTraced, run: diskSlow },
  { name: 'redis-large-aof', about: 'Redis starts with so long an append-only file that it is loading for seconds', run: largeFile }
]
