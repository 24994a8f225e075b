import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { makeJudge, startJudging } from '../../src/composition/judging.ts'
import { emptyRecord } from '../../src/domain/consent.ts'
import { Unavailable } from '../../src/domain/unavailable.ts'
import { Problem } from '../../src/http/problem.ts'
import { misspell } from '../support/misspelled.ts'
import { catalog, examples, schemasDir } from '../support/schemas.ts'

const settings = {
  schemasDir,
  pseudonymKey: Buffer.alloc(32, 7),
  eventAgeMaxMs: 86_400_000,
  limits: { wireBytesMax: 1e6, inflatedBytesMax: 1e6, eventsPerBatchMax: 1000, eventBytesMax: 65_536 }
}
const now = Date.parse('2026-01-02T03:04:05Z')
const poster = { accountId: 'anna', deviceId: undefined, orgId: undefined, region: undefined }
const standing = {
  account: { ...emptyRecord, revision: 3, account: { product_analytics: { state: 'granted' as const, since: 1, deniedUntil: 0, entry: randomUUID() } } },
  deviceId: undefined, deviceAlone: undefined, orgPolicy: {}, regionalDefault: 'denied' as const
}
const grounds = { owner: poster, standing, receivedAt: now, requestId: randomUUID() }
const judgeHere = makeJudge(catalog, settings)

const batchText = (events: string, members = '') => `{"batch_id":"${randomUUID()}","sent_at":"2026-01-02T03:04:05Z",${members}"product":{"name":"cad","release":2026},"events":[${events}]}`
const eventText = (members: object = {}) => JSON.stringify({ id: randomUUID(), name: 'command.run', version: 1, occurred_at: '2026-01-02T03:04:05.000Z', properties: { command: 'LINE' }, ...members })
const large = () => Array.from({ length: 40 }, () => eventText()).join(',')
/** Its bytes lie in a larger buffer, as those of what is small do. */
const posted = (text: string) => ({ bytes: Buffer.from(`${text}${text}`).subarray(0, Buffer.byteLength(text)), poster, grounds })

async function start (t: Test, threads = 1) {
  const ends: unknown[] = []
  const workers: Worker[] = []
  const notice = (worker: Worker): void => { workers.push(worker) }
  process.on('worker', notice)
  const judging = await startJudging(threads, catalog, settings, error => { ends.push(error) })
  process.off('worker', notice)
  t.teardown(judging.close)
  return { ...judging, workers, ends }
}

t.test('a thread judges as this one does, whatever it is given', async t => {
  const { judge } = await start(t)
  let [judged, refused] = [0, 0]
  const event = fc.constantFrom(...examples).chain(({ definition: { name, version }, properties }) => {
    const text = eventText({ name, version, properties })
    return fc.oneof({ weight: 4, arbitrary: fc.constant(text) }, misspell(text))
  })
  await fc.assert(fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 3 }), fc.boolean(), async (events, isWhole) => {
    const text = batchText(`${large()},${events.join(',')}`)
    const given = isWhole ? text : text.slice(0, -1)
    const told = await judge(posted(given)).catch((error: unknown) => error)
    try {
      const expected = judgeHere(posted(given))
      judged++
      t.strictSame(told, expected)
    } catch (error) {
      refused++
      t.ok(told instanceof Problem)
      t.strictSame({ ...told as Problem }, { ...error as Problem })
    }
  }), { numRuns: 120, seed: 11 })
  t.ok(judged > 40 && refused > 40, `${String(judged)} judged, ${String(refused)} refused`)
})

t.test('a batch that turns out to be another\'s comes back to be judged anew', async t => {
  const { judge } = await start(t)
  const text = batchText(large(), '"device_id":"d1",')
  const first = await judge(posted(text))
  t.match(first, { otherOwner: { accountId: 'anna', deviceId: 'd1' } })
  t.ok('bytes' in first && first.bytes.equals(Buffer.from(text)), 'with its bytes')
  const again = await judge({ bytes: Buffer.from(text), poster, grounds: { ...grounds, owner: { ...poster, deviceId: 'd1' } } })
  t.match(again, { queued: { owner: { deviceId: 'd1' } } })
})

t.test('of a thread that ends nothing hangs, and what comes after is judged here', async t => {
  const { judge, workers, ends } = await start(t)
  const [worker] = workers
  const inHand = Array.from({ length: 50 }, async () => await judge(posted(batchText(large()))))
  const outcomes = Promise.allSettled(inHand)
  await worker!.terminate()
  const failed = (await outcomes).filter(outcome => outcome.status === 'rejected')
  t.ok(failed.length > 0 && failed.every(({ reason }) => reason instanceof Unavailable), 'none is answered as if it had been kept')
  t.equal(ends.length, 1)
  t.match(await judge(posted(batchText(large()))), { queued: { counts: [{ outcome: 'accepted', count: 40 }] } })
})

t.test('of several threads the one with the least in hand is asked', async t => {
  const { judge, workers } = await start(t, 2)
  const asked = workers.map(worker => {
    const seen = { messages: 0 }
    worker.on('message', () => { seen.messages++ })
    return seen
  })
  await Promise.all(Array.from({ length: 20 }, async () => await judge(posted(batchText(large())))))
  t.strictSame(asked.map(({ messages }) => messages), [10, 10])
})

t.test('a small batch is told to no thread', async t => {
  const { judge, workers } = await start(t)
  workers[0]!.once('message', () => { t.fail('it was told') })
  t.match(await judge(posted(batchText(eventText()))), { queued: { counts: [{ outcome: 'accepted', count: 1 }] } })
})

t.test('what a thread cannot start for is said at the start', async t => {
  await t.rejects(startJudging(1, catalog, { ...settings, schemasDir: '/nowhere' }, () => {}), { message: /purposes\.json/ })
})

t.test('a thread that is told to end does so, and nobody is told', async t => {
  const { close, workers, ends } = await start(t)
  const exited = once(workers[0]!, 'exit')
  await close()
  await exited
  t.strictSame(ends, [])
})
