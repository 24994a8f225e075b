import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SecurityEvent } from '../../src/domain/security-event.ts'
import { deliverSecurityEvents } from '../../src/flows/deliver-security-events.ts'
import { connectForRequests, connectForWorker } from '../../src/redis/client.ts'
import { startEmbeddedRedis } from '../../src/redis/embedded.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { makeMailQueue, startMailWorker } from '../../src/redis/mail-queue.ts'
import { makeToldStream } from '../../src/redis/told-stream.ts'
import { eventually, uuid } from '../support/service.ts'

const dir = await mkdtemp(join(tmpdir(), 'assent-notices-'))
const socketPath = join(dir, 'redis.sock')
const embedded = await startEmbeddedRedis({ dir, socketPath, readyWithinMs: 60_000, onRestart: () => {} })
const redis = connectForRequests({ socketPath })
await redis.connect()
const workerRedis = connectForWorker({ socketPath })
const queue = makeMailQueue(redis)
const delivered: string[] = []
const worker = startMailWorker(workerRedis, { deliver: async sealed => { delivered.push(sealed) }, now: Date.now, onLetter: () => {}, onTrouble: () => {} })
t.teardown(async () => {
  await worker.close()
  await queue.close()
  workerRedis.disconnect()
  redis.disconnect()
  await embedded.close()
  await rm(dir, { recursive: true, force: true })
})

const stream = makeToldStream(redis)
const happens = async (accountId: string): Promise<string> => {
  const event: SecurityEvent = { event_id: uuid(), account_id: accountId, kind: 'account_unlocked', at: Date.now(), actor: 'admin', actor_subject: null, reason: null, remaining: null, effective_at: null, mail_to: accountId }
  await redis.xadd(keyIn(accountPartition(accountId), 'security-log'), '*', 'entry', JSON.stringify(event))
  return event.event_id
}
type Options = Partial<Parameters<typeof deliverSecurityEvents<Awaited<ReturnType<typeof stream.untold>>[number]>>[0]>
const turn = async (options: Options = {}): Promise<number> => await deliverSecurityEvents({
  stream, openAddress: (_accountId, sealed) => ({ to: sealed, language: null }),
  post: async (_address, event) => { await queue.add(event.event_id, Date.now() + 60_000, event.event_id) }, entriesMax: 100, ...options
})
const mailed = async (t: Test, ids: string[]): Promise<void> => {
  await eventually('each is delivered', async () => ids.every(id => delivered.includes(id)))
  t.same(delivered.filter(id => ids.includes(id)).sort(), [...ids].sort(), 'once')
}

t.test('two processes that look at the same time mail each event once', async t => {
  const ids = await Promise.all(['ada', 'bob', 'carol', 'ada'].map(happens))
  let readers = 0
  let bothHaveRead = (): void => {}
  const both = new Promise<void>(resolve => { bothHaveRead = resolve })
  const together = { ...stream, untold: async (max: number) => {
    const found = await stream.untold(max)
    if (++readers === 2) bothHaveRead()
    await both
    return found
  } }
  t.same(await Promise.all([turn({ stream: together }), turn({ stream: together })]), [4, 4])
  await mailed(t, ids)
})

t.test('one that dies before it marks its place mails nothing twice, also when the letter is out already', async t => {
  const id = await happens('ada')
  const dying = { ...stream, markTold: async () => { throw new Error('killed') } }
  await t.rejects(turn({ stream: dying }))
  await mailed(t, [id])
  t.equal(await turn(), 1)
  t.equal(await turn(), 0)
  await new Promise(resolve => { setTimeout(resolve, 200) }) // For a letter that should not come.
  await mailed(t, [id])
})

t.test('the slower of two does not move the place back', async t => {
  await happens('ada')
  const early = await stream.untold(100)
  await happens('ada')
  t.equal(await turn(), 2)
  await stream.markTold(early)
  t.equal(await turn(), 0)
})

t.test('what is not told yet stays in the stream', async t => {
  await happens('dave')
  t.notOk((await stream.told(100)).some(({ entry }) => entry.account_id === 'dave'))
  await turn()
  t.ok((await stream.told(100)).some(({ entry }) => entry.account_id === 'dave'))
})

t.test('an address that cannot be opened holds up nothing', async t => {
  const [, second] = [await happens('erin'), await happens('erin')]
  let opened = 0
  await turn({ openAddress: (_accountId, sealed) => opened++ === 0 ? undefined : { to: sealed, language: null } })
  await mailed(t, [second])
  t.equal(await turn(), 0)
})
