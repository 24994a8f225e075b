import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { signIn, type Answer } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { redis } = service

/** Asks for a code by e-mail, for a challenge that ends after it was found open and before the code is recorded. */
async function sendWhileItEnds (name: string, end: (key: string) => Promise<unknown>): Promise<{ answer: Answer, letters: number }> {
  const person = await signIn(service, name)
  const { body: { id } } = await service.call('POST', '/v1/verification/challenges', { token: person.token, body: { purpose: 'privacy.update' } })
  const letters = async (): Promise<number> => (await service.call<unknown[]>('GET', `/dev/inbox?to=${person.email}`)).body.length
  await eventually('the first code came', async () => await letters() === 1)
  // Reads go on, writes wait in the order in which they came: the end first.
  await redis.call('CLIENT', 'PAUSE', '1500', 'WRITE')
  const ending = end(keyIn(accountPartition(name), 'challenge', id as string))
  await sleep(50)
  const sending = service.call('POST', `/v1/verification/challenges/${String(id)}/email`, { token: person.token })
  const answer = await sending
  await ending
  await sleep(300) // For a letter that should not come.
  return { answer, letters: await letters() }
}

const ends: ReadonlyArray<[name: string, status: number, slug: string, end: (key: string) => Promise<unknown>]> = [
  ['cancelled', 404, 'not-found', async key => await redis.del(key)],
  ['verified', 409, 'challenge-verified', async key => await redis.hset(key, 'state', 'verified')],
  ['exhausted', 410, 'challenge-exhausted', async key => await redis.hset(key, 'attempts', '0')],
  ['outdated', 410, 'challenge-expired', async () => await redis.hset(keyIn(accountPartition('outdated'), 'security', 'outdated'), 'version', '1')]
]

for (const [name, status, slug, end] of ends) {
  t.test(`no code is sent for a challenge that ends at that moment: ${name}`, async t => {
    const { answer, letters } = await sendWhileItEnds(name, end)
    t.match(answer, { status, body: { type: `/problems/${slug}` } })
    t.equal(letters, 1)
  })
}

t.test('nor for one that has expired', async t => {
  const person = await signIn(service, 'late')
  const { body: { id } } = await service.call('POST', '/v1/verification/challenges', { token: person.token, body: { purpose: 'privacy.update' } })
  pass(15 * 60_000)
  t.match(await service.call('POST', `/v1/verification/challenges/${String(id)}/email`, { token: person.token }), { status: 410, body: { type: '/problems/challenge-expired' } })
})
