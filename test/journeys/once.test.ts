import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fates, makeBatch, makeEvent, signIn } from '../support/api.ts'
import { eventually, startTestService, uuid } from '../support/service.ts'

const schemas = await schemasWithAnything()
const service = await startTestService(t, { SCHEMAS_DIR: schemas })
const { token } = await signIn(service, 'ada', 'product_analytics')
const jane = await signIn(service, 'jane', 'product_analytics')

/** The rows of some events, once each of them is there and the queue is empty. */
async function storedRows (...ids: unknown[]): Promise<Array<{ event_id: string, properties: string, batch_id: string, account_ref: string }>> {
  const list = `(${ids.map(id => `'${String(id)}'`).join()})`
  await eventually('all is stored', async () => await service.count(`(SELECT DISTINCT event_id FROM events WHERE event_id IN ${list})`) === ids.length)
  await eventually('the queue is empty', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0)
  return await service.sql(`SELECT event_id, properties, batch_id, account_ref FROM events_v WHERE event_id IN ${list}`)
}

t.test('a batch that is sent 20 times at once is stored once', async t => {
  const batch = makeBatch({ events: Array.from({ length: 50 }, () => makeEvent()) })
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await service.call('POST', '/v1/events', { token, body: batch })))
  t.same(answers.map(({ status, body }) => [status, body['accepted']]), answers.map(() => [202, 50]))
  const ids = (batch['events'] as Array<Record<string, unknown>>).map(event => event['id'])
  t.same((await storedRows(...ids)).map(row => row.event_id).sort(), [...ids].sort())

  const late = await service.call('POST', '/v1/events', { token, body: batch })
  t.equal(late.status, 202, 'and once more after it was stored')
  t.equal((await storedRows(...ids)).length, 50)
})

t.test('of the same id in other batches the first stays', async t => {
  const id = uuid()
  const first = makeBatch({ events: [makeEvent({ id, properties: { command: 'FIRST' } })] })
  t.equal((await service.call('POST', '/v1/events', { token, body: first })).status, 202)
  for (const [who, name] of [[token, 'SECOND'], [jane.token, 'THIRD']] as const) {
    const answer = await service.post(who, { events: [makeEvent({ id: id.toUpperCase(), properties: { command: name } }), makeEvent()] })
    t.match(answer, { status: 202, body: { accepted: 2 } }, 'the client is told nothing of what others sent')
  }
  const rows = await storedRows(id)
  t.match(rows, [{ event_id: id, properties: '{"command":"FIRST"}', batch_id: first['batch_id'] as string }])
})

t.test('the first stays also when all of them wait in the queue together', async t => {
  service.service.writer?.pause()
  const ids = Array.from({ length: 10 }, uuid)
  for (const command of ['FIRST', 'SECOND', 'THIRD']) {
    for (const id of ids) t.equal((await service.post(token, { events: [makeEvent({ id, properties: { command } })] })).status, 202)
  }
  service.service.writer?.resume()
  const rows = await storedRows(...ids)
  t.same(rows.map(row => row.properties), ids.map(() => '{"command":"FIRST"}'))
})

t.test('the same id twice in one batch is one event, the first', async t => {
  const id = uuid()
  const events = [
    makeEvent({ id, properties: { command: 'not valid' } }),
    makeEvent({ id, properties: { command: 'FIRST' } }),
    makeEvent({ id: id.toUpperCase(), properties: { command: 'SECOND' } })
  ]
  const { status, body } = await service.post(token, { events })
  t.equal(status, 202)
  t.match(body, { accepted: 2, rejected: 1, results: [{ id, outcome: 'rejected' }, { id, outcome: 'accepted', reason: 'duplicate' }] })
  t.match(await storedRows(id), [{ properties: '{"command":"FIRST"}' }])
})

t.test('two batches with one batch id are two batches', async t => {
  const batchId = uuid()
  const events = [makeEvent(), makeEvent()]
  for (const event of events) t.match(await service.post(token, { batch_id: batchId, events: [event] }), { status: 202, body: { accepted: 1 } })
  t.equal((await storedRows(...events.map(event => event['id']))).length, 2)
})

t.test('what is stored is what was sent, to the letter', async t => {
  const texts = [
    '', ' ', '"quoted" \'single\' `back`', 'back\\slash \\n \\N \\u0041', 'line\nfeed\rreturn\ttab', '\u2028\u2029\u0085', '\u{1f600}\u{1f468}\u200d\u{1f469}\u200d\u{1f467}',
    'caf\u00e9 cafe\u0301', '\ufeffmark', '\u202eright to left', 'ß\u0130ı', '日本語', '\u0001\u001f\u007f', 'null', '[]', '{p:String}', '${x}', "'; DROP TABLE events; --", '\u{10ffff}', 'x'.repeat(20_000)
  ]
  const numbers = [0, 1.5, -1.5, 1e21, 1e-7, 123_456_789.125, 0.1, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 5e-324, Number.MAX_VALUE]
  const sent = [...texts.map(text => ({ text })), ...numbers.map(number => ({ number })), { nothing: null }, { list: [null, true, 'a', 1.5] }, {}]
  const events = sent.map(properties => makeEvent({ name: 'anything.sent', properties }))
  const answer = await service.post(token, { events })
  t.same(fates(answer, events), events.map(() => 'accepted'))
  const rows = new Map((await storedRows(...events.map(event => event['id']))).map(row => [row.event_id, row.properties]))
  for (const event of events) t.equal(rows.get(event['id'] as string), JSON.stringify(event['properties']))
})

t.test('each spelling of a text or number in JSON is stored as what it means', async t => {
  const id = uuid()
  const event = JSON.stringify(makeEvent({ id, name: 'anything.sent', properties: {} }))
    .replace('"properties":{}', '"properties" : { "text":"\\u00e9\\/\\ud83d\\ude00\\u2028", "number" : 15e-1 , "list":[1E3,1.0] }')
  const body = JSON.stringify(makeBatch({ events: ['here'] })).replace('"here"', event)
  t.match(await service.call('POST', '/v1/events', { token, body }), { status: 202, body: { accepted: 1 } })
  t.match(await storedRows(id), [{ properties: '{"text":"é/\u{1f600}\u2028","number":1.5,"list":[1000,1]}' }])
})

/** The catalogue, and an event that takes anything. */
async function schemasWithAnything (): Promise<string> {
  const folder = join(t.testdir({}), 'schemas')
  await cp(join(import.meta.dirname, '..', '..', 'schemas'), folder, { recursive: true })
  await mkdir(join(folder, 'events', 'anything.sent'))
  await writeFile(join(folder, 'events', 'anything.sent', '1.json'), JSON.stringify({
    'x-purpose': 'product_analytics', 'x-owner': 'tests', 'x-description': 'Anything.', type: 'object', additionalProperties: false, examples: [{}],
    properties: { text: { type: 'string' }, number: { type: 'number' }, nothing: { type: 'null' }, list: { type: 'array', items: { enum: [null, true, 'a', 1.5, 1, 1000] } } }
  }))
  return folder
}
