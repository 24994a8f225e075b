/** People who say no, or are erased, while what they sent waits. */
import { play, type Scenario, type Scene } from '../scene.ts'
import { setApart, type Apart } from '../stage.ts'

/** Whoever says no while nothing can be stored must not be found stored afterwards. */
export async function withdrawWhileHeld ({ stage: { writer, clickhouse }, crowd, journal, random, form }: Scene<Apart>, times: number): Promise<number> {
  const ways: ReadonlyArray<[string, () => Promise<void>, () => Promise<void>]> = [
    ['the writer stands still', async () => { writer.signal('SIGSTOP') }, async () => { writer.signal('SIGCONT') }],
    ['the writer is dead', async () => { await writer.end('SIGKILL') }, async () => { await writer.start() }],
    ['ClickHouse is dead', clickhouse.kill, clickhouse.start]
  ]
  for (let time = 0; time < times; time++) {
    const [words, hold, release] = ways[time % ways.length]!
    form.say(`${words}, and people say no…`)
    await hold()
    journal.write({ what: 'held' })
    for (let person = 0; person < 5; person++) {
      const device = await crowd.newDevice()
      for (let batch = random.between(1, 3); batch > 0; batch--) await crowd.post(device)
      if (person < 4) await crowd.withdraw(device)
      else await crowd.erase(device)
    }
    journal.write({ what: 'released' })
    await release()
    await crowd.more(10)
  }
  return times
}

export const consent: readonly Scenario[] = [
  {
    name: 'no-while-held',
    about: 'withdrawals and erasures while the writer or ClickHouse is down or stands still',
    run: async form => await play(form, setApart, { crowd: { changes: true } }, async scene => await withdrawWhileHeld(scene, form.short ? 2 : 30))
  }
]
