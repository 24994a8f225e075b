import t from 'tap'
import { eventually, startTestService } from '../support/service.ts'

t.test('what waits in the queue when consent ends is never stored', async t => {
  const service = await startTestService(t)
  const email = 'ada@example.com'
  const token = await service.token({ sub: 'ada', email, device_id: 'pc-1' })
  t.equal((await service.change(token, email, { account: { product_analytics: 'granted' } })).status, 200)

  service.service.writer?.pause()
  const posted = await service.post(token)
  t.match(posted, { status: 202, body: { accepted: 1, dropped: 0 } })
  t.equal((await service.call('POST', '/v1/me/privacy/stop', { token })).status, 200)
  service.service.writer?.resume()

  await eventually('the drop is counted', async () => await service.count("consent_decisions_v WHERE reason = 'account_denied' AND stage = 'write' AND count = 1") === 1)
  t.equal(await service.count('events_v'), 0)
  const keys = await service.redis.keys('*')
  t.notMatch(keys.join(), /events:[0-9]+$/, 'its payload has left Redis')
})
