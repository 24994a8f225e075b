/** Rows that ClickHouse refuses for good, and batches that kill the writer: neither may hold up or spoil anything else. */
import { setTimeout as sleep } from 'node:timers/promises'
import { keepRows } from '../../../src/flows/frames.ts'
import type { Frame } from '../../../src/flows/ports.ts'
import { makeFrameCodec } from '../../../src/redis/frame-codec.ts'
import { fromJobData, toJobData, type JobData } from '../../../src/redis/job-data.ts'
import { batchKey } from '../../../src/redis/queued-batches.ts'
import { withPatchedCopy, type Patch } from '../patched-copy.ts'
import type { Random } from '../random.ts'
import type { RedisServer } from '../redis-server.ts'
import { play, until, type Form, type Outcome, type Scenario } from '../scene.ts'
import { setApart } from '../stage.ts'
import { supervise } from '../supervise.ts'

/** What of a row's frame may be made that no table takes. */
const spoilings: ReadonlyArray<Partial<Record<keyof Frame, unknown>>> = [
  { consentEntry: 'not-a-uuid' }, { version: 'one' }, { version: [] }
]

/** Spoils a row of a batch that waits. Resolves with the id of its event; undefined when the batch waits no more. */
async function spoilRow (redis: RedisServer, random: Random): Promise<string | undefined> {
  return await redis.ask(async connection => {
    const waiting = await connection.lrange(batchKey('wait'), 0, -1)
    if (waiting.length === 0) return undefined
    const key = batchKey(random.pick(waiting))
    const data = JSON.parse(await connection.hget(key, 'data') ?? 'null') as JobData | null
    if (data === null) return undefined
    const batches = await fromJobData(data)
    const batch = random.pick(batches)
    const codec = makeFrameCodec()
    const rows = codec.read(batch)
    const frame = random.pick(rows.frames)
    if (!Number.isInteger(frame.version) || frame.consentEntry === 'not-a-uuid') return undefined // It was spoiled before.
    const place = random.between(0, frame.eventIds.length - 1)
    const spoiled = { ...keepRows(frame, index => index === place), ...random.pick(spoilings) as Partial<Frame> }
    const neighbours = [...rows.frames.filter(other => other !== frame), keepRows(frame, index => index !== place)].filter(({ eventIds }) => eventIds.length > 0)
    const spoiledBatch = { ...batch, body: codec.write({ ...rows, frames: [spoiled, ...neighbours] }) }
    await connection.hset(key, 'data', JSON.stringify(await toJobData(batches.map(other => other === batch ? spoiledBatch : other))))
    return frame.eventIds[place]
  })
}

async function poisonRows (form: Form): Promise<Outcome> {
  const setAside = new Set<string>()
  return await play(form, setApart, { setAside }, async ({ stage: { writer, redis }, crowd, random, form }) => {
    const times = form.short ? 2 : 30
    for (let time = 1; time <= times; time++) {
      writer.signal('SIGSTOP')
      await crowd.more(15)
      const before = setAside.size
      for (let row = random.between(1, 5); row > 0 || setAside.size === before; row--) {
        const id = await spoilRow(redis, random)
        if (id !== undefined) setAside.add(id)
      }
      writer.signal('SIGCONT')
      if (time % 2 === 0) { // In the middle of looking for them.
        await sleep(random.between(0, 300))
        await writer.end('SIGKILL')
        await writer.start()
      }
      await crowd.more(10)
      form.say(`${String(setAside.size)} rows spoiled, ${String(crowd.acknowledgedBatches())} batches acknowledged`)
    }
    return setAside.size
  })
}

/** The writer of this copy dies of what devices with a certain name have sent. */
const deadly = 'deadly-'
const diesOfThose: Patch = {
  file: 'src/flows/store-events.ts',
  find: /return async \(batches, again\) => \{\n/,
  put: `return async (batches, again) => {
    if (batches.some(({ owner }) => owner.deviceId?.startsWith('${deadly}'))) process.kill(process.pid, 'SIGKILL')
`
}
const startsMax = { long: 25, short: 4 }
const fewerStarts: Patch = { file: 'src/redis/event-worker.ts', find: /startsMax = 25\n/, put: `startsMax = ${String(startsMax.short)}\n` }

async function poisonBatches (form: Form): Promise<Outcome> {
  const givenUp = new Set<string>()
  const starts = form.short ? startsMax.short : startsMax.long
  return await withPatchedCopy(form.short ? [diesOfThose, fewerStarts] : [diesOfThose], async root =>
    await play(form, async () => await setApart({ root }), { crowd: { clients: 2, restMsMax: 500 }, givenUp }, async scene => {
      const { stage: { people, redis }, crowd, form } = scene
      const [stays, erased] = [await crowd.newDevice(`${deadly}1`), await crowd.newDevice(`${deadly}2`)]
      const supervisor = supervise(scene.stage.writer, deaths => { form.say(`the writer has died ${String(deaths)} times`) })
      try {
        // With others that arrive at the same time, and are not given up with them.
        const beside = await Promise.all(Array.from({ length: 10 }, async () => await crowd.newDevice()))
        const [given] = await Promise.all([stays, ...beside, erased].map(crowd.post))
        for (const id of given ?? []) givenUp.add(id)
        const dead = async (): Promise<number> => await redis.ask(async connection => await connection.zcard(batchKey('failed')))
        await until('both batches are given up', async () => await dead() === 2, 60_000 * starts)
        const kills = supervisor.deaths()
        form.say(`given up after ${String(kills)} deaths of the writer; the device of one is erased…`)
        // Both in one insert the first time, then each job by itself, then each batch; a kill may hit a start that was not counted yet.
        if (kills < starts || kills > 2 * starts + 4) throw new Error(`${String(kills)} deaths of the writer until two batches were given up after ${String(starts)} starts each`)
        const metrics = await (await fetch(`${scene.stage.writer.url()}/metrics`)).text()
        if (!/^assent_queue_dead_jobs 2$/m.test(metrics)) throw new Error('the metric of batches given up does not say 2')
        await crowd.erase(erased)
        await crowd.certified()
        if (await dead() !== 1) throw new Error('the erased batch is still there')
        const token = await people.token({ sub: 'team', scope: 'privacy:read' })
        const { body: { books } } = await people.call('GET', '/v1/privacy/stats/decisions', { token, headers: { 'purpose-of-use': 'a reckoning' } })
        if (books.dead !== givenUp.size) throw new Error(`given up ${String(books.dead)} by the books, not ${String(givenUp.size)}`)
        await crowd.more(20)
        form.say(`${String(supervisor.deaths())} deaths of the writer`)
        return supervisor.deaths()
      } finally {
        await supervisor.end()
      }
    }))
}

export const poison: readonly Scenario[] = [
  { name: 'poison-row', about: 'rows that ClickHouse refuses for good, in batches that wait; every other time the writer is killed over them', run: poisonRows },
  { name: 'poison-batch', about: 'two batches that kill the writer each time it takes them, until they are given up; one is then erased', run: poisonBatches }
]
