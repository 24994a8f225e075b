import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startProcess } from '../start/process.ts'
import { eventually, startTestService } from '../support/service.ts'

const limit = 100

t.test('two processes count a subject together', async t => {
  const service = await startTestService(t, { RATE_LIMITS: 'on', RATE_LIMIT_PER_SUBJECT: String(limit) })
  const collector = await startProcess(t, {
    ROLE: 'collector', DATA_DIR: service.dataDir, REDIS_URL: `unix://${join(service.dataDir, 'redis', 'redis.sock')}`, RATE_LIMIT_PER_SUBJECT: String(limit)
  })
  const token = await service.token({ device_id: 'pc' })
  await eventually('a window has time left', async () => {
    const { headers } = await service.call('GET', '/v1/catalog')
    return Number(headers.get('ratelimit-reset')) >= 7
  })

  let here = 0
  while ((await service.post(token)).status === 202) here++
  t.equal(here, limit, 'a process alone lets through what the limit says')
  // It need not know at once. It would let through a whole limit if it never did.
  let there = 0
  for (; there < limit / 4 && (await collector.post(token)).status === 202; there++) await sleep(50)
  t.ok(there < limit / 4, `the other lets through little more: ${String(there)}`)
})
