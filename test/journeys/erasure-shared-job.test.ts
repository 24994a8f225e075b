import t from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { makeEventQueue } from '../../src/redis/event-queue.ts'
import { accountRef, certificateOf, eraseMe, knownKey } from '../support/erasure.ts'
import { signIn } from '../support/api.ts'
import { heldBatches, makeRow, queueRows, type HeldBatch } from '../support/queued.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t, knownKey)
const { redis } = service
const queue = makeEventQueue(redis)
t.teardown(queue.close)
const stored = async (account: string): Promise<number> => await service.count(`events_v WHERE account_ref = '${accountRef(account)}'`)

async function held (): Promise<Array<HeldBatch & { account: string }>> {
  return (await heldBatches(redis)).map(found => ({ ...found, account: found.batch.owner.accountId ?? '' }))
}

/** Holds the writer, and has one job hold two batches of the first person and one of the second. Resolves with its id. */
async function shareJob (first: string, second: string): Promise<string> {
  service.service.writer?.pause()
  const before = new Set((await held()).map(({ jobId }) => jobId))
  // What is given in one turn of the event loop goes together.
  await Promise.all([first, second, first].map(async account => { await queue.add(batchOf(account)) }))
  const jobs = Map.groupBy((await held()).filter(({ jobId }) => !before.has(jobId)), ({ jobId }) => jobId)
  t.same([...jobs.values()].map(batches => batches.map(({ account }) => account)), [[first, second, first]], 'they share a job')
  return [...jobs.keys()][0]!
}

function batchOf (account: string): QueuedBatch {
  const kind = { name: 'command.run', purpose: 'product_analytics', reason: 'account_granted' } as const
  const rows = queueRows([makeRow({ ...kind, accountRef: accountRef(account), deviceRef: '', properties: '{"command":"LINE"}' })])
  const { name: event, purpose, reason } = kind
  return { ...rows, owner: { ...rows.owner, accountId: account, deviceId: undefined }, counts: [{ event, version: 1, purpose, outcome: 'accepted', reason, count: 1 }] }
}

/** As a job stands that has ended its process too often. */
async function giveUp (job: string): Promise<void> {
  await eventually('the writer has it', async () => (await redis.lrange('{assent}:events:active', 0, -1)).includes(job))
  await redis.multi().lrem('{assent}:events:active', 0, job).zadd('{assent}:events:failed', Date.now(), job).del(`{assent}:events:${job}:lock`).exec()
}

t.test('of a job that waits an erasure takes the batches of its subject, counts each, and the rest is stored', async t => {
  const ada = await signIn(service, 'ada', 'product_analytics')
  await signIn(service, 'bob', 'product_analytics')
  await shareJob('ada', 'bob')
  const { body: { id } } = await eraseMe(service, ada)
  await eventually('both are found', async () => JSON.stringify(await redis.hget((await redis.keys(`assent:*:erasure:${String(id)}`))[0]!, 'batches')).includes('2'))
  service.service.writer?.resume()
  t.match(await certificateOf(service, id), { queue: { batches: 2, events_removed: 2 }, dead_letters: { batches: 0, events_removed: 0 } })
  await eventually('the other is stored', async () => await stored('bob') === 1)
  t.equal(await stored('ada'), 0)
})

t.test('of a job that was given up an erasure takes the batches of its subject, and the rest stays', async t => {
  const [cleo, dan] = [await signIn(service, 'cleo', 'product_analytics'), await signIn(service, 'dan', 'product_analytics')]
  const job = await shareJob('cleo', 'dan')
  await giveUp(job)
  const { body: { id } } = await eraseMe(service, cleo)
  t.match(await certificateOf(service, id), { queue: { batches: 0, events_removed: 0 }, dead_letters: { batches: 2, events_removed: 2 } })
  const left = (await held()).filter(({ jobId }) => jobId === job)
  t.ok(left.some(({ account }) => account === 'dan'))
  t.notOk(left.some(({ account }) => account === 'cleo'))

  const { body: { id: last } } = await eraseMe(service, dan)
  t.match(await certificateOf(service, last), { dead_letters: { batches: 1, events_removed: 1 } })
  service.service.writer?.resume()
  t.equal(await stored('cleo') + await stored('dan'), 0)
})
