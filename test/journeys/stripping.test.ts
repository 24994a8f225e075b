import t from 'tap'
import { fates, heartbeat, makeEvent, signIn, type BatchFields } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'

const hour = 3_600_000
const pass = passTime(t)
const service = await startTestService(t)
const file = { format: 'dwg', size_bytes: 18_874_368, file_name: 'ground-floor.dwg', object_count: 41_207, layer_count: 64 }
const crash = { signature: 'a'.repeat(64), kind: 'hang', recovered: true, last_command: 'HATCH', object_count: 7 }

async function storedProperties (event: Record<string, unknown>): Promise<Record<string, unknown>> {
  const where = `events_v WHERE event_id = '${String(event['id'])}'`
  await eventually('it is stored', async () => await service.count(where) === 1)
  const [row] = await service.sql<{ properties: string }>(`SELECT properties FROM ${where}`)
  return JSON.parse(row!.properties) as Record<string, unknown>
}

async function post (token: string, event: Record<string, unknown>, fields: BatchFields = {}): Promise<string[]> {
  const answer = await service.post(token, { events: [event], ...fields })
  t.match(answer, { status: 202, body: { accepted: 1, dropped: 0, rejected: 0 } })
  return answer.body['results'].flatMap((result: { stripped?: string[] }) => result.stripped ?? [])
}

t.test('a field without its own yes is taken out before it is queued, and the answer says which', async t => {
  const { token, choose } = await signIn(service, 'fields', 'product_analytics', 'diagnostics')
  service.service.writer?.pause()
  const opened = makeEvent({ name: 'file.open', properties: file })
  const crashed = makeEvent({ name: 'crash.reported', properties: crash })
  t.same(await post(token, opened), ['/file_name', '/object_count', '/layer_count'])
  t.same(await post(token, crashed), ['/object_count'], 'a field of an event of another purpose, each by its own')
  await choose({ content_insights: 'granted' })
  service.service.writer?.resume()
  t.same(await storedProperties(opened), { format: 'dwg', size_bytes: 18_874_368 }, 'a yes that comes later brings nothing back')
  t.same(await storedProperties(crashed), { signature: crash.signature, kind: 'hang', recovered: true, last_command: 'HATCH' })

  const again = makeEvent({ name: 'file.open', properties: file })
  t.same(await post(token, again), [])
  t.same(await storedProperties(again), file)
})

t.test('a gated object goes whole, and what is plain stays', async t => {
  const { token } = await signIn(service, 'objects', 'diagnostics')
  const event = makeEvent({ name: 'performance.sampled', properties: { interval_s: 60, memory: { used_mb: 5 }, document: { object_count: 3 } } })
  t.same(await post(token, event), ['/document'])
  t.same(await storedProperties(event), { interval_s: 60, memory: { used_mb: 5 } })
})

t.test('a field captured before its own yes is taken out of an event captured under its own', async t => {
  const { token, choose } = await signIn(service, 'late', 'product_analytics')
  pass(hour)
  await choose({ content_insights: 'granted' })
  pass(hour)
  const [sentAt, occurredAt] = [0, 1.5 * hour].map(ago => new Date(Date.now() - ago).toISOString())
  const event = makeEvent({ name: 'file.open', occurred_at: occurredAt!, properties: file })
  t.same(await post(token, event, { sent_at: sentAt! }), ['/file_name', '/object_count', '/layer_count'])
  t.same(await storedProperties(event), { format: 'dwg', size_bytes: 18_874_368 })
})

t.test('a field whose purpose is withdrawn while it waits is not stored, its event is', async t => {
  const ada = await signIn(service, 'ada', 'product_analytics', 'content_insights')
  const bob = await signIn(service, 'bob', 'product_analytics', 'content_insights')
  service.service.writer?.pause()
  const odd = 'a "quoted" name, \u{1f600} and \u2028.dwg'
  const adas = [file, { format: 'dxf', file_name: odd }, { format: 'step' }].map(properties => makeEvent({ name: 'file.open', properties }))
  const answer = await service.post(ada.token, { events: adas })
  t.match(answer.body, { accepted: 3, results: [] })
  const bobs = makeEvent({ name: 'file.open', properties: file })
  t.same(await post(bob.token, bobs), [])
  await ada.choose({ content_insights: 'denied' })
  service.service.writer?.resume()

  t.same(await Promise.all(adas.map(storedProperties)), [{ format: 'dwg', size_bytes: 18_874_368 }, { format: 'dxf' }, { format: 'step' }])
  t.same(await storedProperties(bobs), file, 'another person\'s are as they were')
  t.equal(await service.count("events WHERE position(properties, 'quoted') > 0"), 0)
})

t.test('of two purposes of fields that wait, the one that is withdrawn goes', async t => {
  const { token, choose } = await signIn(service, 'two', 'diagnostics', 'product_analytics', 'content_insights')
  service.service.writer?.pause()
  const event = makeEvent({ name: 'crash.reported', properties: crash })
  t.same(await post(token, event), [])
  await choose({ product_analytics: 'denied' })
  service.service.writer?.resume()
  const { last_command: _, ...rest } = crash
  t.same(await storedProperties(event), rest)
})

t.test('a required event is stored whatever was chosen, and carries no usage data', async t => {
  const properties = { ...heartbeat.properties, features_in_use: ['drafting'] }
  const { token, choose } = await signIn(service, 'required')
  const person = (): Record<string, unknown> => makeEvent({ ...heartbeat, properties })
  const first = person()
  t.same(await post(token, first), ['/features_in_use'], 'nothing chosen')
  await choose({ product_analytics: 'granted' })
  const second = person()
  t.same(await post(token, second), [], 'agreed')
  t.same(await storedProperties(second), properties)

  service.service.writer?.pause()
  const waiting = person()
  await post(token, waiting)
  t.equal((await service.call('POST', '/v1/me/privacy/stop', { token })).status, 200)
  const third = person()
  t.same(await post(token, third), ['/features_in_use'], 'stopped')
  service.service.writer?.resume()

  const nobody = person()
  t.same(await post(await service.token({}), nobody), ['/features_in_use'], 'nobody known')
  for (const event of [first, third, waiting, nobody]) t.same(await storedProperties(event), heartbeat.properties)
  t.same(await service.sql(`SELECT DISTINCT reason, consent_entry FROM events_v WHERE name = 'license.heartbeat'`), [{ reason: 'required', consent_entry: null }])
})

t.test('of a product or release that the catalogue does not know, what is required is kept, without its optional fields', async t => {
  const { token } = await signIn(service, 'unknown', 'product_analytics')
  for (const product of [{ name: 'abacus', release: 2026 }, { name: 'cad', release: 2014 }, { name: 'constructor', release: 2026 }]) {
    const events = [makeEvent({ ...heartbeat, properties: { ...heartbeat.properties, features_in_use: ['mesh'] } }), makeEvent()]
    const answer = await service.post(token, { product, events })
    t.same(fates(answer, events), ['accepted', 'unknown_product'])
    t.match(answer.body['results'][0], { outcome: 'accepted', stripped: ['/features_in_use'] })
    t.same(await storedProperties(events[0]!), heartbeat.properties)
    t.equal(await service.count(`events_v WHERE event_id = '${String(events[1]!['id'])}'`), 0)
  }
})
