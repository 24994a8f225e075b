/** Processes that are killed without warning, at random moments under load. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Random } from '../random.ts'
import { play, type Form, type Outcome, type Scenario, type Scene } from '../scene.ts'
import { setApart, setTogether, type Apart, type Stage } from '../stage.ts'

const crowd = { changes: true }

/** Kills as often as the form says, each time when some batches more were acknowledged. */
async function killAgain<S extends Stage> ({ crowd, random, form }: Scene<S>, kill: () => Promise<void>): Promise<number> {
  for (let made = 1; made <= form.kills; made++) {
    await crowd.more(random.between(1, 8))
    await sleep(random.between(0, 150)) // Anywhere in a batch, an insert, an acknowledgement.
    await kill()
    form.say(`kill ${String(made)} of ${String(form.kills)}, ${String(crowd.acknowledgedBatches())} batches acknowledged`)
  }
  await crowd.more(20)
  return form.kills
}

async function killOneRole (form: Form, kill: (stage: Apart, scene: Scene<Apart>) => Promise<void>): Promise<Outcome> {
  return await play(form, setApart, { crowd }, async scene => await killAgain(scene, async () => await kill(scene.stage, scene)))
}

export async function embeddedRedisPid (socket: string): Promise<number> {
  const redis = new Redis({ path: socket })
  redis.on('error', () => {})
  const info = await redis.info('server')
  redis.disconnect()
  return Number(/process_id:(\d+)/.exec(info)?.[1])
}

/** Kills the service in one process, every other time its Redis too, and starts it again. */
export async function killTogether ({ api, redisSocket }: Stage, random: Random): Promise<void> {
  const redis = random.next() < 0.5 ? await embeddedRedisPid(redisSocket) : undefined
  const ended = api.end('SIGKILL')
  if (redis !== undefined) process.kill(redis, 'SIGKILL')
  await ended
  await api.start()
}

async function restartCollector ({ collectors: [collector] }: Stage): Promise<void> {
  await collector?.end('SIGKILL')
  await collector?.start()
}

async function restartWriter ({ writer }: Stage): Promise<void> {
  await writer.end('SIGKILL')
  await writer.start()
}

async function restartRedis ({ redis }: Apart): Promise<void> {
  await redis.kill()
  await redis.start()
}

async function restartClickHouse ({ clickhouse }: Apart): Promise<void> {
  await clickhouse.kill()
  await clickhouse.start()
}

export const kills: readonly Scenario[] = [
  { name: 'kill-collector', about: 'kill -9 of the collector', longOnly: true, run: async form => await killOneRole(form, restartCollector) },
  { name: 'kill-writer', about: 'kill -9 of the writer', longOnly: true, run: async form => await killOneRole(form, restartWriter) },
  { name: 'kill-redis', about: 'kill -9 of Redis', longOnly: true, run: async form => await killOneRole(form, restartRedis) },
  { name: 'kill-clickhouse', about: 'kill -9 of ClickHouse', longOnly: true, run: async form => await killOneRole(form, restartClickHouse) },
  {
    name: 'kill-all-in-one',
    about: 'kill -9 of the service in one process, every other time of its Redis too',
    longOnly: true,
    run: async form => await play(form, setTogether, { crowd }, async scene => await killAgain(scene, async () => { await killTogether(scene.stage, scene.random) }))
  },
  {
    name: 'kill-any',
    about: 'kill -9 of any process, two at once now and then',
    run: async form => await killOneRole(form, async (stage, { random }) => {
      const restarts = [restartCollector, restartWriter, restartRedis, restartClickHouse]
      const first = random.pick(restarts)
      const second = random.pick(restarts)
      const both = random.next() < 0.3 && first !== second
      await Promise.all((both ? [first, second] : [first]).map(async restart => await restart(stage)))
    })
  }
]
