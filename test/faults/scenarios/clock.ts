/** Clocks that jump by hours, and back, while everything goes on. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeBatch } from '../../support/api.ts'
import { makeClock, whyNoClocks, type Clock } from '../clock.ts'
import { play, until, type Form, type Outcome, type Scenario, type Scene } from '../scene.ts'
import { setApart, type Apart } from '../stage.ts'

const roles = ['collector', 'api', 'writer', 'redis'] as const
type Clocks = Record<typeof roles[number], Clock>

const hour = 3600
const day = 24 * hour

async function withFolder<Result> (use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'assent-clocks-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** One process after the other is wrong for a while, then all at once. */
async function jumpEach ({ crowd, form }: Scene<Apart>, clocks: Clocks): Promise<number> {
  const jumps = form.short ? [6 * hour, -6 * hour] : [hour, -hour, 6 * hour, -6 * hour, day, -day]
  const groups = [...roles.map(role => [role]), [...roles]]
  for (const jump of jumps) {
    for (const group of groups) {
      const before = crowd.acknowledgedBatches()
      const set = async (seconds: number): Promise<void> => { await Promise.all(group.map(async role => { await clocks[role].set(seconds) })) }
      await set(jump)
      await sleep(form.short ? 2000 : 10_000)
      await set(0)
      form.say(`${group.join(', ')} by ${String(jump / hour)} h: ${String(crowd.acknowledgedBatches() - before)} batches acknowledged`)
      if (crowd.acknowledgedBatches() === before) throw new Error(`no batch was acknowledged while the clock of ${group.join(', ')} was wrong by ${String(jump / hour)} h`)
      await crowd.more(10)
    }
  }
  return jumps.length * groups.length
}

/** A yes of a clock that is ahead covers nothing before its time has come, and a yes of one that is behind nothing before the no that it follows. */
async function permitAtWrongTime ({ stage, crowd }: Scene<Apart>, { api }: Clocks): Promise<void> {
  await api.set(6 * hour)
  const early = await crowd.newDevice()
  await api.set(0)
  const ids = await crowd.post(early)
  const storedOf = async (also: string): Promise<number> => {
    const [row] = await stage.sql<{ n: string | number }>(`SELECT count() AS n FROM events_v WHERE event_id IN (${ids.map(id => `'${id}'`).join()}) ${also}`)
    return Number(row?.n)
  }
  await until('what needs no yes is stored', async () => await storedOf('') > 0, 120_000)
  if (await storedOf("AND name = 'command.run'") > 0) throw new Error('events were stored that only a yes of six hours later covers')

  const device = await crowd.newDevice()
  const choose = async (choice: string): Promise<number> => {
    const { status, body } = await stage.people.call('PUT', `/v1/devices/${device.id}/privacy`, { token: device.token, body: { product_analytics: choice } })
    if (status !== 200) throw new Error(`a choice was answered ${String(status)}`)
    return body['choices']['product_analytics']['since'] as number
  }
  const denied = await choose('denied')
  await api.set(-30) // More, and its token would be from the future.
  const granted = await choose('granted')
  await api.set(0)
  if (granted <= denied) throw new Error('a yes holds from before the no that it follows')
}

/** A token that has run out, or is not valid yet, by the clock of the collector. */
async function judgeTokens ({ stage: { people, collectors: [service] }, crowd }: Scene<Apart>, { collector }: Clocks): Promise<void> {
  const { id } = await crowd.newDevice()
  const token = await people.token({ device_id: id, expires_in: hour })
  const post = async (): Promise<number> => (await fetch(`${service!.url()}/v1/events`, {
    method: 'POST', body: JSON.stringify(makeBatch({ device_id: id, events: [] })), headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  })).status
  for (const offset of [2 * hour, -2 * hour]) {
    await collector.set(offset)
    const status = await post()
    await collector.set(0)
    if (status !== 401) throw new Error(`a token of an hour was answered ${String(status)} by a clock that is wrong by ${String(offset / hour)} h`)
  }
}

/** A writer whose clock is ahead puts off what it could not store, and ends: the next one must not wait for that time. */
async function putOffTooFar ({ stage: { writer, clickhouse }, crowd, form }: Scene<Apart>, clocks: Clocks): Promise<void> {
  form.say('a writer that is six hours ahead ends while ClickHouse is away…')
  await clickhouse.kill()
  await clocks.writer.set(6 * hour)
  await crowd.more(20)
  await sleep(2000)
  await writer.end('SIGTERM')
  await clocks.writer.set(0)
  await Promise.all([clickhouse.start(), writer.start()])
  await crowd.more(20)
}

async function clockJump (form: Form): Promise<Outcome> {
  return await withFolder(async folder => {
    const make = async (role: string, offset = 0): Promise<Clock> => await makeClock(join(folder, role), offset)
    // Tokens and choices are from two days ago, so that a clock behind by a day still finds them in the past.
    const clocks: Clocks = { collector: await make('collector'), api: await make('api', -2 * day), writer: await make('writer'), redis: await make('redis') }
    const setStage = async (): Promise<Apart> => await setApart({
      redis: { environment: clocks.redis.environment },
      settingsOf: role => clocks[role as keyof Clocks].environment
    })
    return await play(form, setStage, { crowd: { changes: true, erasures: false, freshTokens: true }, refusalsAllowed: true }, async scene => {
      await clocks.api.set(0)
      const made = await jumpEach(scene, clocks)
      await permitAtWrongTime(scene, clocks)
      await judgeTokens(scene, clocks)
      await putOffTooFar(scene, clocks)
      return made + 5
    })
  })
}

export const clock: readonly Scenario[] = [
  {
    name: 'clock-jump',
    about: 'the clocks of collector, writer, api and Redis jump by hours and back, one by one and all at once',
    cannot: async () => await withFolder(async folder => await whyNoClocks(join(folder, 'clock'))),
    run: clockJump
  }
]
