import t from 'tap'
import { makeEventQueue } from '../../src/redis/event-queue.ts'
import { makeMailQueue } from '../../src/redis/mail-queue.ts'
import { startRedis } from '../support/redis.ts'

const batch = {
  schema: 5 as const, requestId: '5b0c3a52-6f0e-4a53-9c0e-0d3f9f6f1a10', owner: { accountId: 'ada', deviceId: undefined, orgId: undefined, region: undefined },
  product: 'cad', release: 2026, receivedAt: Date.now(), body: '', counts: []
}

t.test('queues that were made while Redis was slow to answer work as soon as it answers', async t => {
  const { redis } = await startRedis(t)
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1])

  process.kill(pid, 'SIGSTOP')
  const events = makeEventQueue(redis)
  const mail = makeMailQueue(redis)
  t.teardown(async () => { await Promise.all([events.close(), mail.close()]) })
  await t.rejects(redis.ping(), 'until a command has waited too long')
  process.kill(pid, 'SIGCONT')
  await redis.ping()

  await events.add(batch)
  t.equal(await events.pending(), 1)
  await mail.add('sealed', Date.now() + 60_000)
  t.equal(await mail.pending(), 1)
})
