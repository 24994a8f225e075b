/** Stores that are away, slow, full or standing still, and processes that are told to end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { play, type Scenario, type Scene } from '../scene.ts'
import { makeServiceProcess } from '../service-process.ts'
import { setApart, type Apart } from '../stage.ts'

const crowd = { changes: true }
const setTwoCollectors = async (): Promise<Apart> => await setApart({ collectors: 2 })

/** Lets time pass and says how much of it has. */
async function wait ({ form, crowd }: Scene<Apart>, what: string, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 5) {
    form.say(`${what} for ${String(passed)} of ${String(seconds)} s, ${String(crowd.acknowledgedBatches())} batches acknowledged`)
    await sleep(Math.min(5, seconds - passed) * 1000)
  }
}

/** Whether batches went on being acknowledged while something was away. */
async function mustGoOn ({ crowd }: Scene<Apart>, act: () => Promise<void>): Promise<void> {
  const before = crowd.acknowledgedBatches()
  await act()
  if (crowd.acknowledgedBatches() === before) throw new Error('no batch was acknowledged meanwhile')
}

const refusals: ReadonlyArray<[name: string, about: string, code: string]> = [
  ['clickhouse-disk-full', 'ClickHouse refuses inserts for want of disk (243), then has room again', '243'],
  ['clickhouse-too-many-parts', 'ClickHouse refuses inserts because there are too many parts (252), then takes them again', '252']
]

export const outages: readonly Scenario[] = [
  {
    name: 'redis-hang',
    about: 'Redis stands still, without a closed connection',
    run: async form => await play(form, setApart, { crowd }, async scene => {
      const { stage: { redis } } = scene
      for (let hang = 0; hang < 2; hang++) {
        process.kill(redis.pid(), 'SIGSTOP')
        await wait(scene, 'Redis has stood still', form.short ? 5 : 30)
        process.kill(redis.pid(), 'SIGCONT')
        await scene.crowd.more(20)
      }
      return 2
    })
  },
  {
    name: 'redis-memory-full',
    about: 'Redis has no memory left while ClickHouse is away, then has some again',
    run: async form => await play(form, setApart, { crowd }, async scene => {
      const { stage: { redis, clickhouse } } = scene
      await clickhouse.kill()
      const used = await redis.ask(async connection => Number(/used_memory:(\d+)/.exec(await connection.info('memory'))?.[1]))
      await redis.ask(async connection => await connection.config('SET', 'maxmemory', String(used + 500_000)))
      await wait(scene, 'there has been no room', form.short ? 10 : 30)
      await redis.ask(async connection => await connection.config('SET', 'maxmemory', '0'))
      await clickhouse.start()
      await scene.crowd.more(20)
      return 1
    })
  },
  {
    name: 'clickhouse-away',
    about: 'ClickHouse is away for two minutes; batches are taken all the same',
    run: async form => await play(form, setApart, { crowd }, async scene => {
      const { clickhouse } = scene.stage
      await clickhouse.kill()
      await mustGoOn(scene, async () => await wait(scene, 'ClickHouse has been away', form.short ? 10 : 120))
      await clickhouse.start()
      return 1
    })
  },
  {
    name: 'clickhouse-slow',
    about: 'each insert takes five seconds more than it should, near the writer\'s time limit or over it',
    run: async form => await play(form, setApart, { crowd }, async scene => {
      const { clickhouse } = scene.stage
      await clickhouse.set({ slowInserts: 1e9, slowMs: 5000 })
      await mustGoOn(scene, async () => await wait(scene, 'inserts have been slow', form.short ? 15 : 60))
      await clickhouse.set({ slowInserts: 0 })
      return 1
    })
  },
  ...refusals.map(([name, about, failCode]): Scenario => ({
    name,
    about,
    run: async form => await play(form, setApart, { crowd }, async scene => {
      const { clickhouse } = scene.stage
      await clickhouse.set({ failedInserts: 1e9, failCode })
      await mustGoOn(scene, async () => await wait(scene, 'inserts have been refused', form.short ? 5 : 30))
      await clickhouse.set({ failedInserts: 0 })
      return 1
    })
  })),
  {
    name: 'two-writers',
    about: 'two writers on one queue, one of which now and then stands still for longer than it may keep a batch',
    run: async form => await play(form, setApart, { crowd }, async scene => {
      const { stage: { launch, writer } } = scene
      const second = makeServiceProcess({ ...launch, environment: { ...launch.environment, ROLE: 'writer' } })
      await second.start()
      const times = form.short ? 1 : 5
      for (let time = 0; time < times; time++) {
        await scene.crowd.more(20)
        writer.signal('SIGSTOP')
        await wait(scene, 'one writer has stood still', 15)
        writer.signal('SIGCONT')
      }
      await scene.crowd.more(20)
      await second.end('SIGTERM')
      return times
    })
  },
  {
    name: 'stop-in-load',
    about: 'SIGTERM to one of two collectors, then to the writer, under load; each must end with 0',
    run: async form => await play(form, setTwoCollectors, { crowd }, async ({ stage: { collectors, writer }, crowd, random, form }) => {
      const times = form.short ? 3 : 30
      for (let time = 1; time <= times; time++) {
        await crowd.more(20)
        const ending = time % 3 === 0 ? writer : random.pick(collectors)
        const code = await ending.end('SIGTERM')
        if (code !== 0) throw new Error(`a process that was told to end did so with ${String(code)}`)
        await ending.start()
        form.say(`stop ${String(time)} of ${String(times)}`)
      }
      return times
    })
  }
]
