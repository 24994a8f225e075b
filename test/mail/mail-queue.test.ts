import t, { type Test } from 'tap'
import { connectForWorker } from '../../src/redis/client.ts'
import { makeMailQueue, startMailWorker, type MailQueue } from '../../src/redis/mail-queue.ts'
import { startRedis } from '../support/redis.ts'
import { eventually } from '../support/service.ts'
import { readAll } from './redis-text.ts'

const { redis, socketPath } = await startRedis(t)

interface Post { queue: MailQueue, clock: { ms: number }, delivered: string[], troubles: string[], letters: string[] }

/** A queue with a worker whose time is the test's. `deliver` may throw. */
async function open (t: Test, deliver: (sealed: string) => void = () => {}): Promise<Post> {
  const workerRedis = connectForWorker({ socketPath })
  const queue = makeMailQueue(redis)
  const post: Post = { queue, clock: { ms: 1_000_000 }, delivered: [], troubles: [], letters: [] }
  const worker = startMailWorker(workerRedis, {
    deliver: async sealed => {
      deliver(sealed)
      post.delivered.push(sealed)
    },
    now: () => post.clock.ms,
    onLetter: outcome => { post.letters.push(outcome) },
    onTrouble: what => { post.troubles.push(what) }
  })
  t.teardown(async () => {
    await worker.close()
    await queue.close()
    workerRedis.disconnect()
  })
  return post
}

/** Whether no letter is left, neither waiting nor kept as delivered or failed. */
const isEmpty = async (): Promise<boolean> => (await redis.keys('{assent}:mail:*')).every(key => !/:mail:([0-9]+|wait|active|delayed|failed|completed)$/.test(key))

t.test('a letter whose code has expired is dropped, one whose code is still good is delivered', async t => {
  const { queue, clock, delivered, troubles, letters } = await open(t)
  await queue.add('expired a while ago', clock.ms - 1)
  await queue.add('expires now', clock.ms)
  await queue.add('still good', clock.ms + 1)
  await eventually('the queue is empty', isEmpty)
  t.same(delivered, ['still good'])
  t.same(letters.sort(), ['expired', 'expired', 'sent'])
  t.same(troubles, [], 'a letter that nobody needs is no trouble')
})

t.test('a letter that could not be sent is tried again until its code expires', async t => {
  let failures = 2
  const { queue, clock, delivered, troubles } = await open(t, () => {
    if (failures-- > 0) throw new Error('the mail server is away')
  })
  await queue.add('late', clock.ms + 60_000)
  await eventually('it is delivered', async () => delivered.length === 1)
  t.same(troubles, ['mail-failed', 'mail-failed'])
  await eventually('the queue is empty', isEmpty)
})

t.test('and not any longer; what a mail server said about it is not kept', async t => {
  const { queue, clock, delivered, troubles } = await open(t, () => { throw new Error('550 no such person: ada@example.com') })
  await queue.add('sealed letter', clock.ms + 60_000)
  await eventually('its delivery has failed', async () => await redis.zcard('{assent}:mail:delayed') === 1)
  const kept = await readAll(redis)
  t.match(kept, /sealed letter/)
  t.notMatch(kept, /ada@example\.com/)
  const tried = troubles.length
  t.ok(tried > 0)
  clock.ms += 60_000
  await eventually('the queue is empty', isEmpty)
  t.same(delivered, [])
  t.notMatch(await readAll(redis), /sealed letter|ada@example\.com/)
})
