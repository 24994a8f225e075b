import { randomUUID } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { makeFrameCodec } from '../../src/redis/frame-codec.ts'
import { fromJobData, toJobData, type JobData } from '../../src/redis/job-data.ts'
import { certificateOf, eraseFor, knownKey } from '../support/erasure.ts'
import { heartbeat, makeEvent, signIn, type Person } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const schemas = t.testdir({})
await cp(join(import.meta.dirname, '../../schemas'), schemas, { recursive: true })
const file = join(schemas, 'purposes.json')
const { purposes } = JSON.parse(await readFile(file, 'utf8')) as { purposes: Array<{ id: string }> }
await writeFile(file, JSON.stringify({ purposes: purposes.map(purpose => purpose.id === 'product_analytics' ? { ...purpose, on_withdrawal: 'erase' } : purpose) }))

const service = await startTestService(t, { ...knownKey, SCHEMAS_DIR: schemas })
const codec = makeFrameCodec()
const keyOf = (job: string): string => `{assent}:events:${job}`
const heldBy = async (job: string): Promise<QueuedBatch[]> => {
  const data = await service.redis.hget(keyOf(job), 'data')
  return data === null ? [] : await fromJobData(JSON.parse(data) as JobData)
}

/** A batch of two optional events and a required one, as it stands when it was given up; `spoil` makes it unreadable. */
async function giveUp (person: Person, spoil: (batch: QueuedBatch) => string | Promise<string>): Promise<{ job: string, batch: QueuedBatch }> {
  service.service.writer?.pause()
  await service.post(person.token, { events: [makeEvent(), makeEvent(), makeEvent({ ...heartbeat, properties: { ...heartbeat.properties, features_in_use: ['mesh'] } })] })
  let taken: string | undefined
  await eventually('the writer has it', async () => { taken = (await service.redis.lrange('{assent}:events:active', 0, -1))[0]; return taken !== undefined })
  const hash = await service.redis.hgetall(keyOf(taken!))
  service.service.writer?.resume()
  const [waiting] = await fromJobData(JSON.parse(hash['data']!) as JobData)
  const batch = { ...waiting!, requestId: randomUUID() }
  const spoilt = { ...batch, body: await spoil(batch) }
  const job = `given-up-${randomUUID()}`
  await service.redis.multi().hset(keyOf(job), { ...hash, data: JSON.stringify(await toJobData([spoilt])) }).zadd('{assent}:events:failed', Date.now(), job).exec()
  return { job, batch: spoilt }
}
/** The properties of the required event, one of which is optional, are no longer JSON. */
function spoilRequired (batch: QueuedBatch): string {
  const rows = codec.read(batch)
  return codec.write({ ...rows, frames: rows.frames.map(frame => frame.purpose === 'license_compliance' ? { ...frame, properties: ['{xxx'] } : frame) })
}
async function withdraw (person: Person): Promise<Record<string, any>> {
  const { body } = await person.choose({ product_analytics: 'denied' })
  let opened: string | undefined
  await eventually('it is opened', async () => { [opened] = await service.redis.keys(`assent:*:erasure:*-${String(body['entries'][0])}`); return opened !== undefined })
  return await certificateOf(service, opened!.split(':').at(-1)!)
}
async function booksOf (): Promise<Record<string, any>> {
  let books: Record<string, any> = {}
  await eventually('nothing waits', async () => {
    books = (await service.call('GET', '/v1/privacy/stats/decisions', { token: await service.token({ sub: 'team', scope: 'privacy:read' }), headers: { 'purpose-of-use': 'an audit' } })).body['books'] as typeof books
    return books['pending'] === 0
  })
  return books
}

t.test('of an unreadable batch a withdrawal takes its own purpose, counts it, and leaves the rest', async t => {
  const ada = await signIn(service, 'ada', 'product_analytics')
  const { job, batch } = await giveUp(ada, spoilRequired)
  t.match(await booksOf(), { dead: 3, balanced: true })
  const certificate = await withdraw(ada)
  t.match(certificate, { dead_letters: { batches: 1, events_removed: 2 } })
  const [rest] = await heldBy(job)
  t.equal(rest?.requestId, batch.requestId)
  t.match(codec.read(rest!).frames, [{ purpose: 'license_compliance', properties: ['{xxx'] }])
  t.equal(codec.read(rest!).frames.length, 1)
  t.match(await booksOf(), { dead: 1, balanced: true })
})

t.test('one that cannot be taken apart is left with its other purposes, and that is said', async t => {
  const bob = await signIn(service, 'bob', 'product_analytics')
  const { job, batch } = await giveUp(bob, () => 'nobody can read this')
  const before = (await booksOf())['dead'] as number
  const certificate = await withdraw(bob)
  t.match(certificate, { dead_letters: { batches: 0, events_removed: 0 } })
  t.match(certificate['kept'].find(({ table }: { table: string }) => table === 'batches given up'), { why: /^1 cannot be read/ })
  t.same(await heldBy(job), [batch])
  t.equal(service.logs.filter(line => line.includes('erasure-left-batch')).length, 1)
  t.match(await booksOf(), { dead: before, balanced: true })

  const { body: { id } } = await eraseFor(service, { account_id: 'bob', reason: 'a letter' })
  const whole = await certificateOf(service, id)
  t.match(whole, { dead_letters: { batches: 1, events_removed: 3 } }, 'an erasure of the whole account takes it, and counts it')
  t.notOk(whole['kept'].some(({ table }: { table: string }) => table === 'batches given up'))
  t.same(await heldBy(job), [])
  t.match(await booksOf(), { dead: before - 3, balanced: true })
})
