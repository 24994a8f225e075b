import { randomUUID } from 'node:crypto'
import t from 'tap'
import { makeEvent } from '../support/api.ts'
import { makePostBody, requiredBatch } from '../support/bodies.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t)
const token = await service.token({ sub: 'ada', device_id: 'pc-1' })
const post = makePostBody(service, token)
const path = '/v1/events'

const batch = JSON.stringify(requiredBatch())
const batchWith = (fields: Record<string, unknown>): string => JSON.stringify(requiredBatch(fields))
/** A batch with one more member at its top, in JSON text of its own. */
const withMember = (member: string): string => `{${member},${batch.slice(1)}`
const withProperties = (text: string): string => batchWith({ events: [{ ...makeEvent(), properties: 'HERE' }] }).replace('"HERE"', text)
const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`

const notJson: Record<string, string> = {
  nothing: '',
  'only spaces': '  \n\t ',
  'cut off': batch.slice(0, -20),
  'cut off before the last brace': batch.slice(0, -1),
  'followed by more': `${batch} x`,
  'two documents': batch + batch,
  NaN: withMember('"a":NaN'),
  Infinity: withMember('"a":-Infinity'),
  'a raw control character in a string': withMember('"a":"\u0001"'),
  'single quotes': batch.replaceAll('"', '\''),
  'a comma at the end': `${batch.slice(0, -1)},}`,
  'a comment': `/* x */${batch}`,
  'a number with a leading zero': withMember('"a":01'),
  'a text without its end': '"',
  XML: '<batch/>',
  'a form': 'batch_id=1&events=2'
}

const treacherous: Record<string, string> = {
  'a byte order mark': `\ufeff${batch}`,
  'the same member twice': withMember('"events":[]'),
  'the same member twice, spelled in two ways': withMember('"\\u0065vents":[]'),
  'a lone surrogate outside the events': withMember('"device":"\\ud800"'),
  'a number beyond all numbers outside the events': withMember('"a":1e400'),
  '__proto__ at the top': withMember('"__proto__":{"product":{"name":"cad","release":2026}}'),
  '__proto__ in disguise': withMember('"\\u005f_proto__":{"polluted":true}'),
  '__proto__ in the properties of an event': withProperties('{"command":"LINE","__proto__":{"polluted":true}}'),
  'constructor and prototype in an event': withProperties('{"command":"LINE","constructor":{"prototype":{"polluted":true}}}'),
  'nine levels': withMember(`"a":${nested(8)}`),
  'nine levels in an event': withProperties(`{"command":"LINE","a":${nested(8)}}`),
  '10,000 levels': nested(10_000),
  '100,000 levels that never close': '['.repeat(100_000),
  '100,000 levels of objects': '{"a":'.repeat(100_000)
}

const badBatches: Record<string, string> = {
  null: 'null',
  'a list': '[]',
  'a text': '"x"',
  'a number': '1',
  'an empty object': '{}',
  'no batch id': batchWith({ batch_id: undefined }),
  'a batch id that is no UUID': batchWith({ batch_id: 'one' }),
  'the nil UUID': batchWith({ batch_id: '00000000-0000-0000-0000-000000000000' }),
  'a batch id that is a number': batchWith({ batch_id: 5 }),
  'no time of sending': batchWith({ sent_at: undefined }),
  'a time of sending without a zone': batchWith({ sent_at: '2026-01-01T00:00:00' }),
  'a time of sending that is a number': batchWith({ sent_at: 1_767_225_600_000 }),
  'a time of sending in the year 9999': batchWith({ sent_at: '9999-12-31T23:59:59Z' }),
  'a device id with a slash': batchWith({ device_id: '../pc' }),
  'a device id of 129 characters': batchWith({ device_id: 'a'.repeat(129) }),
  'a device id that is null': batchWith({ device_id: null }),
  'no product': batchWith({ product: undefined }),
  'a product that is a text': batchWith({ product: 'cad' }),
  'a release that is a text': batchWith({ product: { name: 'cad', release: '2026' } }),
  'a release that is a fraction': batchWith({ product: { name: 'cad', release: 2026.5 } }),
  'a release before all products': batchWith({ product: { name: 'cad', release: 1 } }),
  'a product with SQL for a name': batchWith({ product: { name: '\'; DROP TABLE events; --', release: 2026 } }),
  'a version with a line feed': batchWith({ product: { name: 'cad', release: 2026, version: '26\n1' } }),
  'a member of the product that does not exist': batchWith({ product: { name: 'cad', release: 2026, edition: 'x' } }),
  'a member that does not exist': batchWith({ account_id: 'grace' }),
  'no events': batchWith({ events: undefined }),
  'an empty list of events': batchWith({ events: [] }),
  'events that are an object': batchWith({ events: { 0: makeEvent() } })
}

t.test('a body that is no JSON, or would be read in two ways, is refused as a whole', async t => {
  for (const [about, body] of Object.entries({ ...notJson, ...treacherous })) isProblem(t, await post(body), 400, 'invalid-json', path, about)
  t.notOk('polluted' in {}, 'no prototype was touched')
})

t.test('a body that is no batch is refused as a whole, and each place is named', async t => {
  for (const [about, body] of Object.entries(badBatches)) {
    const answer = await post(body)
    isProblem(t, answer, 400, 'invalid-batch', path, about)
    t.match(answer.body['errors'], [{ pointer: String, detail: /\w/ }], about)
  }
  t.match((await post(batchWith({ product: { name: 'cad', release: 'x' }, batch_id: 'y' }))).body, { errors: [{ pointer: '/batch_id' }, { pointer: '/product/release' }] })
})

t.test('no refusal quotes what it refuses', async t => {
  const secret = 'ada@example.com'
  for (const body of [`"${secret}`, batchWith({ [secret]: secret }), batchWith({ device_id: secret, batch_id: secret }), batchWith({ product: { [secret]: secret } })]) {
    const answer = await post(body)
    t.equal(answer.status, 400)
    t.notMatch(JSON.stringify(answer.body), secret)
  }
})

t.test('1,001 events are too many, 1,000 are not', async t => {
  const events = Array.from({ length: 1001 }, () => ({ ...makeEvent(), name: 'unknown' }))
  isProblem(t, await post(batchWith({ events })), 413, 'batch-too-large', path)
  t.match(await post(batchWith({ events: events.slice(1) })), { status: 202, body: { accepted: 0, rejected: 1000 } })
})

t.test('a batch of another device than the token\'s is refused', async t => {
  isProblem(t, await post(batchWith({ device_id: 'pc-2' })), 403, 'device-mismatch', path)
})

t.test('nothing of all this was stored, and the next batch is', async t => {
  const last = makeEvent({ ...JSON.parse(batch).events[0], id: randomUUID() })
  t.match(await post(batchWith({ events: [last], device_id: 'pc-1' })), { status: 202, body: { accepted: 1 } })
  await eventually('the last event is stored', async () => await service.count('events_v') > 0)
  t.match(await service.sql('SELECT event_id FROM events_v'), [{ event_id: last['id'] }])
  t.equal(await service.count('failed_events'), 0)
})
