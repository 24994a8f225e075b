/** The machine loses its power: what was only in its memory is gone, that of its file system too. */
import { setTimeout as sleep } from 'node:timers/promises'
import { whyNoPowerDisk, withPowerDisk, type PowerDisk } from '../disk.ts'
import { play, type Form, type Outcome, type Scenario, type Scene } from '../scene.ts'
import { setApart, type Apart, type StageOptions } from '../stage.ts'

async function cutPower ({ api, writer, collectors, redis, clickhouse }: Apart, disk: PowerDisk): Promise<void> {
  const services = [api, writer, ...collectors]
  for (const pid of [...services.map(service => service.pid()), redis.pid(), clickhouse.pid()]) process.kill(pid, 'SIGSTOP')
  await disk.cutPower(async () => {
    await Promise.all([...services.map(async service => await service.end('SIGKILL')), redis.kill(), clickhouse.kill()])
  })
  await Promise.all([redis.start(), clickhouse.start()])
  await Promise.all(services.map(async service => { await service.start() }))
}

async function powerCuts (form: Form, times: number, stage: StageOptions, say: (scene: Scene<Apart>, cut: number) => void): Promise<Outcome> {
  return await withPowerDisk(2048, async disk =>
    await play(form, async () => await setApart({ ...stage, folder: `${disk.folder}/stage` }), { crowd: { changes: true } }, async scene => {
      for (let cut = 1; cut <= times; cut++) {
        await scene.crowd.more(scene.random.between(10, 60))
        await sleep(scene.random.between(0, 3000)) // The file system writes of its own accord some five seconds after a change.
        await cutPower(scene.stage, disk)
        say(scene, cut)
      }
      await scene.crowd.more(20)
      return times
    }))
}

export const power: readonly Scenario[] = [
  {
    name: 'power-cut',
    about: 'the disk under Redis, ClickHouse and the keys is set back to what had been given to it, and all start again',
    cannot: whyNoPowerDisk,
    async run (form) {
      const times = form.short ? 3 : 20
      return await powerCuts(form, times, {}, ({ crowd, form }, cut) => { form.say(`power cut ${String(cut)} of ${String(times)}, ${String(crowd.acknowledgedBatches())} batches acknowledged`) })
    }
  },
  {
    name: 'control-power-cut',
    about: 'a Redis that does not wait for its disk must turn the oracle red when the power is cut',
    cannot: whyNoPowerDisk,
    async run (form) {
      const outcome = await powerCuts({ ...form, keepJournal: false }, 2, { redis: { settings: ['--appendfsync', 'no'] }, environment: { ALLOW_VOLATILE_REDIS: '1' } }, () => {})
      const lost = outcome.verdict?.lost ?? 0
      return { ...outcome, broken: lost > 0 ? [] : [`the oracle did not find what is lost; it said: ${outcome.broken.join(', ') || 'good'}`], note: `red as it must be: lost ${String(lost)}` }
    }
  }
]
