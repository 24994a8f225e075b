import t, { type Test } from 'tap'
import { accountPartition, keyIn, partitionOf } from '../../src/redis/keys.ts'
import { signIn, type Answer } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)

/** A write that finds another record than it read, however often it reads: here, for one that no version wrote so. */
function isGivenUp (t: Test, answer: Answer, path: string): void {
  isProblem(t, answer, 503, 'unavailable', path)
  t.match(answer.headers.get('retry-after'), /^[1-9]\d*$/)
}

t.test('a change that always finds another before it is given up, and may come back', async t => {
  const ada = await signIn(service, 'ada', 'diagnostics')
  const key = keyIn(accountPartition('ada'), 'consent', 'a:ada')
  const record = JSON.parse((await service.redis.get(key))!) as Record<string, unknown>
  await service.redis.set(key, JSON.stringify({ ...record, era: '5' }))
  const stop = async (): Promise<Answer> => await service.call('POST', '/v1/me/privacy/stop', { token: ada.token })
  isGivenUp(t, await stop(), '/v1/me/privacy/stop')
  await service.redis.set(key, JSON.stringify(record))
  t.match(await stop(), { status: 200, body: { account: { diagnostics: { state: 'denied' } } } })
})

t.test('so is an organisation\'s policy', async t => {
  const token = await service.token({ sub: 'eve', scope: 'privacy:admin' })
  const path = '/v1/privacy/organizations/acme/policy'
  const key = keyIn(partitionOf('o:acme'), 'policy', 'acme')
  const put = async (): Promise<Answer> => await service.call('PUT', path, { token, body: { diagnostics: 'off' }, headers: { 'purpose-of-use': 'a works agreement' } })
  await service.redis.set(key, '{ }')
  isGivenUp(t, await put(), path)
  await service.redis.del(key)
  t.ok((await put()).status < 300)
})
