import t from 'tap'
import { readBatches, type ReadBatch } from '../../src/redis/queued-batches.ts'
import { accountRef, certificateOf, eraseMe, knownKey } from '../support/erasure.ts'
import { signIn, type Person } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t, knownKey)
const { redis } = service
const stored = async (account: string): Promise<number> => await service.count(`events_v WHERE account_ref = '${accountRef(account)}'`)

async function held (): Promise<Array<ReadBatch & { account: string }>> {
  const found: Array<ReadBatch & { account: string }> = []
  for await (const page of readBatches(redis)) found.push(...page.map(read => ({ ...read, account: read.batch.owner.accountId ?? '' })))
  return found
}

/** Holds the writer, and has one job hold two batches of the first person and one of the second. Resolves with its id. */
async function shareJob (first: Person, second: Person): Promise<string> {
  service.service.writer?.pause()
  // Two rounds are under way then, and the rest gathers.
  await redis.client('PAUSE', 300, 'WRITE')
  const alone = await signedOut()
  const posted = [alone, alone, first.token, second.token, first.token].map(async token => await service.post(token))
  t.same((await Promise.all(posted)).map(({ status }) => status), Array(5).fill(202))
  const jobs = Map.groupBy(await held(), ({ jobId }) => jobId)
  const shared = [...jobs].find(([, batches]) => batches.length >= 3)
  t.ok(shared, 'they share a job')
  return shared![0]
}
const signedOut = async (): Promise<string> => await service.token({ sub: 'device:kiosk', device_id: 'kiosk' })

/** As a job stands that has ended its process too often. */
async function giveUp (job: string): Promise<void> {
  await eventually('the writer has it', async () => (await redis.lrange('{assent}:events:active', 0, -1)).includes(job))
  await redis.multi().lrem('{assent}:events:active', 0, job).zadd('{assent}:events:failed', Date.now(), job).del(`{assent}:events:${job}:lock`).exec()
}

t.test('of a job that waits an erasure takes the batches of its subject, counts each, and the rest is stored', async t => {
  const [ada, bob] = [await signIn(service, 'ada', 'product_analytics'), await signIn(service, 'bob', 'product_analytics')]
  await shareJob(ada, bob)
  const { body: { id } } = await eraseMe(service, ada)
  await eventually('both are found', async () => JSON.stringify(await redis.hget((await redis.keys(`assent:*:erasure:${String(id)}`))[0]!, 'batches')).includes('2'))
  service.service.writer?.resume()
  t.match(await certificateOf(service, id), { queue: { batches: 2, events_removed: 2 }, dead_letters: { batches: 0, events_removed: 0 } })
  await eventually('the other is stored', async () => await stored('bob') === 1)
  t.equal(await stored('ada'), 0)
})

t.test('of a job that was given up an erasure takes the batches of its subject, and the rest stays', async t => {
  const [cleo, dan] = [await signIn(service, 'cleo', 'product_analytics'), await signIn(service, 'dan', 'product_analytics')]
  const job = await shareJob(cleo, dan)
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
