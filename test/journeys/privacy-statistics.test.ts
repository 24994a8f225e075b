import t from 'tap'
import type { JobData } from '../../src/redis/job-data.ts'
import { heartbeat, makeEvent, signIn } from '../support/api.ts'
import { eventually, startTestService, uuid } from '../support/service.ts'
import { joinTeam } from '../support/team.ts'

const service = await startTestService(t)
const team = await joinTeam(service)
const today = new Date().toISOString().slice(0, 10)
const ask = async (query: string): Promise<Record<string, any>> => {
  const { status, body } = await team.ask(`stats/${query}`)
  t.equal(status, 200, JSON.stringify(body))
  return body
}

t.test('states and changes are counted by day', async t => {
  await signIn(service, 'ada', 'product_analytics')
  const bob = await signIn(service, 'bob', 'product_analytics', 'diagnostics')
  await bob.choose({ product_analytics: 'denied' })
  await signIn(service, 'carl', 'diagnostics')
  const body = await ask('consents?purpose=product_analytics')
  t.match(body, { purpose: 'product_analytics', interval: 'day', scope: 'account', ledger_head: { entries: 5 } })
  t.ok(body['series'].length >= 31, 'the last 30 days')
  t.strictSame(body['series'].at(-1), { start: `${today}T00:00:00.000Z`, granted: 1, denied: 1, absent: 1, lapsed: 0, changes: { granted: 2, denied: 1, cleared: 0 } })
  t.match(body['series'][0], { granted: 0, denied: 0, absent: 0 })
  t.strictSame((await ask(`consents?purpose=diagnostics&interval=month&from=${today}&to=${today}`))['series'],
    [{ start: `${today.slice(0, 7)}-01T00:00:00.000Z`, granted: 2, denied: 0, absent: 1, lapsed: 0, changes: { granted: 2, denied: 0, cleared: 0 } }])
  await service.change(bob.token, bob.email, { devices: { 'pc-bob': { diagnostics: 'denied' } } })
  await service.change(bob.token, bob.email, { devices: { 'pc-bob': { diagnostics: 'cleared' } } })
  t.strictSame((await ask('consents?purpose=diagnostics&scope=device'))['series'].at(-1),
    { start: `${today}T00:00:00.000Z`, granted: 0, denied: 0, absent: 1, lapsed: 0, changes: { granted: 0, denied: 1, cleared: 1 } })
  t.match(await team.ask('stats/consents?purpose=nothing'), { status: 422, body: { type: '/problems/unknown-purpose' } })
})

t.test('what became of events is counted, and the books balance, whatever waits in the queue', async t => {
  const dora = await signIn(service, 'dora', 'diagnostics', 'product_analytics')
  const analytics = makeEvent()
  await service.post(dora.token, { events: [analytics, makeEvent(heartbeat), null, makeEvent({ name: 'crash.reported', properties: {} })] })
  await eventually('it is stored', async () => (await ask('decisions'))['books'].pending === 0)
  const { books } = await ask('decisions')
  t.strictSame(books, { received: 4, accepted: 2, dropped: 0, rejected: 2, stored: 2, dropped_at_write: 0, failed: 0, pending: 0, dead: 0, balanced: true })

  service.service.writer!.pause()
  await service.post(dora.token, { events: [makeEvent(), makeEvent(heartbeat), makeEvent(heartbeat), null, makeEvent({ name: 'project.saved' })] })
  t.match((await ask('decisions'))['books'], { received: 9, accepted: 5, rejected: 4, stored: 2, pending: 3, balanced: true })
  t.match((await ask(`decisions?from=2026-01-01&to=2026-01-31`))['books'], { received: 0, pending: 0, balanced: true }, 'of another time')
  await dora.choose({ product_analytics: 'denied' })
  service.service.writer!.resume()
  await eventually('it is stored', async () => (await ask('decisions'))['books'].pending === 0)
  t.strictSame((await ask('decisions'))['books'], { received: 9, accepted: 5, dropped: 0, rejected: 4, stored: 4, dropped_at_write: 1, failed: 0, pending: 0, dead: 0, balanced: true })

  const { rows, from, to } = await ask(`decisions?group_by=reason,stage,product&interval=day`)
  t.match([from, to], [/T00:00:00.000Z$/, /T00:00:00.000Z$/])
  const found = rows.find((row: Record<string, unknown>) => row['reason'] === 'account_denied')
  t.strictSame(found, { start: `${today}T00:00:00.000Z`, reason: 'account_denied', stage: 'write', product: 'cad', outcome: 'dropped', count: 1 })
  t.ok((await ask('decisions'))['rows'].every((row: Record<string, unknown>) => Object.keys(row).join() === 'reason,outcome,count'))
  t.match((await ask('decisions?group_by=release,event,purpose,outcome'))['rows'], [{ release: Number, event: String, purpose: String, outcome: String, count: Number }])
})

t.test('a batch that was given up is dead, and one that is counted already is not counted again', async t => {
  const before = (await ask('decisions'))['books']
  const counts: JobData['counts'] = [['', 0, '', 'accepted', 'required', 3], ['', 0, '', 'dropped', 'not_granted', 2]]
  const put = async (state: 'failed' | 'active', requestId: string): Promise<void> => {
    const id = uuid()
    await service.redis.hset(`{assent}:events:${id}`, 'data', JSON.stringify({ requestId, receivedAt: Date.now(), counts, owner: {} }))
    if (state === 'failed') await service.redis.zadd('{assent}:events:failed', Date.now(), id)
    else await service.redis.lpush('{assent}:events:active', id)
    t.teardown(async () => await (state === 'failed' ? service.redis.zrem('{assent}:events:failed', id) : service.redis.lrem('{assent}:events:active', 0, id)))
  }
  await put('failed', uuid())
  const dead = (await ask('decisions'))['books']
  t.match(dead, { received: before.received + 5, accepted: before.accepted + 3, dropped: before.dropped + 2, dead: 3, pending: 0, failed: 0, balanced: true })

  const [stored] = await service.sql<{ request_id: string, accepted: string | number }>("SELECT toString(request_id) AS request_id, sum(count) AS accepted FROM consent_decisions_v WHERE stage = 'intake' AND outcome = 'accepted' GROUP BY request_id LIMIT 1")
  await put('active', stored!.request_id)
  t.match((await ask('decisions'))['books'], { accepted: dead.accepted - Number(stored!.accepted) + 3, pending: 3, balanced: true })
})

t.test('a range that is no range, or too long, is refused', async t => {
  for (const about of ['consents?purpose=diagnostics&', 'decisions?']) {
    for (const range of ['from=2026-02-01&to=2026-01-01', 'from=2026-01-02&to=2026-01-01', 'from=2026-01-02T00:00:00Z&to=2026-01-01', 'from=2026-01-02&to=2026-01-01T23:59:59.999Z']) {
      t.match(await team.ask(`stats/${about}${range}`), { status: 422, body: { type: '/problems/range-reversed' } }, about + range)
    }
    for (const range of ['from=2026-01-02&to=2026-01-02', 'from=2026-01-02T10:00:00Z&to=2026-01-02', 'to=2026-01-02']) t.equal((await team.ask(`stats/${about}${range}`)).status, 200, about + range)
    t.match(await team.ask(`stats/${about}from=2024-01-01&to=2026-01-01`), { status: 422, body: { type: '/problems/range-too-long' } }, about)
    t.equal((await team.ask(`stats/${about}from=2025-01-01T00:00:00Z&to=2026-02-05T00:00:00Z`)).status, 200, about)
  }
})
