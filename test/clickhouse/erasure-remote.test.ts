import t from 'tap'
import { startBridge } from '../support/clickhouse-bridge.ts'
import { certificateOf, eraseFor, knownKey, accountRef } from '../support/erasure.ts'
import { fates, heartbeat, makeEvent } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const bridge = await startBridge(t)
await bridge.set({ user: 'assent', password: 'secret' })
const remote = { CLICKHOUSE_URL: bridge.url, CLICKHOUSE_USER: 'assent', CLICKHOUSE_PASSWORD: 'secret', CLICKHOUSE_TIMEOUT: '1s' }

t.test('rows on a remote server are erased, also when it goes away meanwhile', async t => {
  const service = await startTestService(t, { ...knownKey, ...remote })
  const token = await service.token({ sub: 'ada' })
  const events = [makeEvent(heartbeat), makeEvent(heartbeat)]
  t.match(await service.post(token, { events }), { status: 202, body: { accepted: 2 } })
  await eventually('they are stored', async () => await service.count(`events_v WHERE account_ref = '${accountRef('ada')}'`) === 2)
  await bridge.kill()
  const { status, body: { id } } = await eraseFor(service, { account_id: 'ada', reason: 'a letter' })
  t.equal(status, 202, 'it is taken all the same')
  t.same(fates(await service.post(token, { events }), events), ['erased', 'erased'])
  await bridge.start()
  t.match(await certificateOf(service, id), { tables: [{ table: 'events', rows_before: 2, rows_after: 0 }, {}] })
  t.equal(await service.count(`events_v WHERE account_ref = '${accountRef('ada')}'`), 0)
})
