import t from 'tap'
import { Unavailable } from '../../src/domain/unavailable.ts'
import { makeConsentStore } from '../../src/redis/consent-store.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { readTogether } from '../../src/redis/standings-together.ts'
import { forgetWhole, noteWhole } from '../../src/redis/whole-mark.ts'
import { startRedis } from '../support/redis.ts'

const ownerOf = (accountId: string | undefined) => ({ accountId, deviceId: undefined, orgId: undefined, region: undefined })

t.test('standings that are asked for at once are read at once, and a record that cannot be read fails its owner alone', async t => {
  const { redis } = await startRedis(t)
  await noteWhole(redis)
  await redis.set(keyIn(accountPartition('bad'), 'consent', 'a:bad'), 'spoilt')
  const store = makeConsentStore(redis, () => 'denied')
  const groups: number[] = []
  const read = readTogether({ readEach: async owners => { groups.push(owners.length); return await store.readEach(owners) } })
  const [good, bad, nobody] = await Promise.allSettled(['good', 'bad', undefined].map(async account => await read(ownerOf(account))))
  t.match(good, { status: 'fulfilled', value: { account: { revision: 0 } } })
  t.ok(bad?.status === 'rejected' && bad.reason instanceof Unavailable)
  t.match(nobody, { status: 'fulfilled', value: { account: undefined } })
  t.same(groups, [3])
})

t.test('in a Redis that was emptied nobody has a standing, not even who has nothing to read', async t => {
  const { redis } = await startRedis(t)
  await forgetWhole(redis)
  const read = readTogether(makeConsentStore(redis, () => 'granted'))
  for (const account of ['ada', undefined]) await t.rejects(read(ownerOf(account)), { name: 'Unavailable' })
  const together = await Promise.allSettled(['ada', undefined].map(async account => await read(ownerOf(account))))
  t.same(together.map(({ status }) => status), ['rejected', 'rejected'])
})
