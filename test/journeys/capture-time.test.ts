import t from 'tap'
import { fates, heartbeat, makeEvent, signIn, type Answer, type BatchFields } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'

const day = 86_400_000
const year = 365 * day
const pass = passTime(t) // Before the service starts, which takes its clock then.
const service = await startTestService(t)

/** A client whose clock runs apart from the server's by `offsetMs`. */
function makeClient (token: string, offsetMs = 0): { at: (agoMs: number) => string, post: (events: unknown[], fields?: BatchFields) => Promise<Answer> } {
  const at = (agoMs: number): string => new Date(Date.now() + offsetMs - agoMs).toISOString()
  return {
    at,
    post: async (events, fields = {}) => await service.post(token, { sent_at: at(0), events, ...fields })
  }
}

async function storedRow (id: unknown): Promise<Record<string, any>> {
  await eventually('it is stored', async () => await service.count(`events_v WHERE event_id = '${String(id)}'`) === 1)
  const [row] = await service.sql(`SELECT toInt64(toUnixTimestamp64Milli(occurred_at)) AS occurred, toInt64(toUnixTimestamp64Milli(captured_at)) AS captured,
    toInt64(toUnixTimestamp64Milli(received_at)) AS received FROM events_v WHERE event_id = '${String(id)}'`)
  return Object.fromEntries(Object.entries(row!).map(([name, value]) => [name, Number(value)]))
}

t.test('of a backlog over yes, no and yes again, only what followed the last yes is stored', async t => {
  for (const [name, offsetMs] of [['ada', 0], ['past', -9 * year], ['future', 9 * year]] as const) {
    const { token, choose } = await signIn(service, name)
    pass(day)
    await choose({ product_analytics: 'granted' })
    pass(day)
    await choose({ product_analytics: 'denied' })
    pass(day)
    await choose({ product_analytics: 'granted' })
    pass(day / 2)
    const client = makeClient(token, offsetMs)
    const events = [3.2, 2, 1, 0.6, 0.4, 0].map(daysAgo => makeEvent({ occurred_at: client.at(daysAgo * day) }))
    const answer = await client.post(events)
    const before = 'captured_before_consent'
    t.same(fates(answer, events), [before, before, before, before, 'accepted', 'accepted'], `${name}: before the yes, under it, under the no, just before the second yes, after it`)
    await storedRow(events[5]!['id'])
    const ids = events.map(({ id }) => `'${String(id)}'`).join()
    t.equal(await service.count(`events_v WHERE event_id IN (${ids})`), 2)
  }
})

t.test('a withdrawal reaches back to what was captured under the yes before it', async t => {
  const { token, choose } = await signIn(service, 'bob')
  await choose({ product_analytics: 'granted' })
  pass(day)
  t.equal((await service.call('POST', '/v1/me/privacy/stop', { token })).status, 200)
  const client = makeClient(token)
  const event = makeEvent({ occurred_at: client.at(day / 2) })
  t.same(fates(await client.post([event]), [event]), ['account_denied'])
})

t.test('the time of capture is the client\'s, corrected by what its clock said at sending', async t => {
  const { token } = await signIn(service, 'clocks')
  for (const offsetMs of [0, 7000, -3 * 3_600_000, -20 * year, 10 * year]) {
    const client = makeClient(token, offsetMs)
    const sentAt = client.at(0)
    const event = makeEvent({ ...heartbeat, occurred_at: client.at(5 * day) })
    t.same(fates(await client.post([event], { sent_at: sentAt }), [event]), ['accepted'])
    const row = await storedRow(event['id'])
    t.equal(row['occurred'], Date.parse(event['occurred_at'] as string), 'what the client said is kept beside it')
    t.equal(row['captured'], row['occurred'] + row['received'] - Date.parse(sentAt), `clock off by ${offsetMs} ms`)
  }
})

t.test('a zone in a time is honoured', async t => {
  const { token } = await signIn(service, 'zones')
  const event = makeEvent({ ...heartbeat, occurred_at: '2026-03-01T09:00:00.250+05:30' })
  await makeClient(token).post([event], { sent_at: '2026-03-01T03:30:01.250Z' })
  const row = await storedRow(event['id'])
  t.equal(row['occurred'], Date.UTC(2026, 2, 1, 3, 30, 0, 250))
  t.equal(row['received'] - row['captured'], 1000)
})

t.test('what a client dates into the future was captured when it arrived', async t => {
  const { token } = await signIn(service, 'prophet')
  const client = makeClient(token)
  for (const aheadMs of [60_000, 50 * year]) {
    const event = makeEvent({ ...heartbeat, occurred_at: client.at(-aheadMs) })
    t.same(fates(await client.post([event]), [event]), ['accepted'])
    const row = await storedRow(event['id'])
    t.equal(row['captured'], row['received'])
  }
})

t.test('a future date does not carry an event over a later yes', async t => {
  const { token, choose } = await signIn(service, 'trick')
  const client = makeClient(token)
  const event = makeEvent({ occurred_at: client.at(-30 * day) })
  t.same(fates(await client.post([event]), [event]), ['not_granted'])
  await choose({ product_analytics: 'granted' })
  pass(1000)
  const later = makeEvent({ occurred_at: client.at(-30 * day) })
  t.same(fates(await client.post([later]), [later]), ['accepted'], 'sent under the yes, it counts from its arrival')
})

t.test('what is older than 30 days is refused, required or not, by the corrected clock', async t => {
  const { token, choose } = await signIn(service, 'old')
  await choose({ product_analytics: 'granted' })
  pass(40 * day)
  for (const offsetMs of [0, -5 * year, 5 * year]) {
    const client = makeClient(token, offsetMs)
    const events = [29.99, 30.01].flatMap(daysAgo => [{}, heartbeat].map(kind => makeEvent({ ...kind, occurred_at: client.at(daysAgo * day) })))
    const answer = await client.post(events)
    t.same(fates(answer, events), ['accepted', 'accepted', 'too_old', 'too_old'])
    t.match(answer.body, { accepted: 2, dropped: 0, rejected: 2 })
    await storedRow(events[0]!['id'])
    t.equal(await service.count(`events_v WHERE event_id IN ('${String(events[2]!['id'])}', '${String(events[3]!['id'])}')`), 0)
  }
})
