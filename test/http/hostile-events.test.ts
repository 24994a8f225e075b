import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { heartbeat, makeBatch, makeEvent, signIn } from '../support/api.ts'
import { makePostBody } from '../support/bodies.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t)
const { token } = await signIn(service, 'ada', 'product_analytics', 'content_insights')
const post = makePostBody(service, token)
const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString()
const acceptedIds: string[] = []

/** An event as JSON text, each of its members written as it is given. */
function eventText (members: Record<string, string> = {}): string {
  const usual = Object.entries(makeEvent(heartbeat)).map(([name, value]): [string, string] => [name, JSON.stringify(value)])
  return `{${Object.entries({ ...Object.fromEntries(usual), ...members }).map(([name, text]) => `"${name}":${text}`).join()}}`
}
const withProperties = (text: string): string => eventText({ properties: text })
const withSeats = (text: string): string => withProperties(`{"license_id":"LIC-7Q4M-20XZ","seats_in_use":${text}}`)
const withLicense = (text: string): string => withProperties(`{"license_id":${text},"seats_in_use":1}`)
const withMore = (text: string): string => withProperties(`{"license_id":"LIC-7Q4M-20XZ","seats_in_use":1,${text}}`)
const withTime = (text: string): string => eventText({ occurred_at: JSON.stringify(text) })
/** An event of so many bytes. */
const withBytes = (bytes: number): string => withProperties(`{"a":"${'x'.repeat(bytes - withProperties('{"a":""}').length)}"}`)
const members = (count: number): string => Array.from({ length: count }, (_, index) => `"a${String(index)}":1`).join()

const refused: Record<string, Record<string, string>> = {
  invalid_string: {
    'half a surrogate': withLicense('"\\ud800"'),
    'the other half': withLicense('"\\udc00"'),
    'two halves in the wrong order': withLicense('"\\udc00\\ud800"'),
    'half a surrogate in a name': withMore('"\\udbff":1'),
    NUL: withLicense('"LIC\\u0000"'),
    'NUL in a name': withMore('"a\\u0000":1'),
    'NUL in the name of the event': eventText({ name: '"command\\u0000run"' })
  },
  invalid_number: {
    '1e400': withSeats('1e400'),
    '-1e400': withSeats('-1e400'),
    '400 digits': withSeats('9'.repeat(400)),
    '300 digits': withSeats('9'.repeat(300)),
    '2 to the 53rd and one': withSeats('9007199254740993'),
    'minus zero': withSeats('-0'),
    '1e-400': withSeats('1e-400'),
    'a version beyond all numbers': eventText({ version: '1e999' })
  },
  duplicate_key: {
    'a property twice': withMore('"seats_in_use":2'),
    'a property twice, spelled in two ways': withMore('"seats\\u005fin_use":2'),
    'a member twice': eventText({ name: '"license.heartbeat","name":"session.start"' })
  },
  invalid_properties: {
    'text for an integer': withSeats('"12"'),
    'a fraction for an integer': withSeats('1.5'),
    'true for an integer': withSeats('true'),
    'null for an integer': withSeats('null'),
    'a list for an integer': withSeats('[1]'),
    'a number for a text': withLicense('5'),
    'a property too few': withProperties('{"seats_in_use":1}'),
    'a property too many': withMore('"email":"ada@example.com"'),
    '51 properties': withMore(members(51)),
    '64 KiB': withBytes(65_536),
    'a name of 10,000 characters': withMore(`"${'a'.repeat(10_000)}":1`),
    'a value of 32 kB': withLicense(`"${'A'.repeat(32_768)}"`),
    'a path that names a person': eventText({ name: '"file.open"', properties: '{"format":"dwg","file_name":"C:\\\\Users\\\\ada\\\\plan.dwg"}' })
  },
  invalid_event: {
    null: 'null', 'a number': '5', 'a text': '"x"', 'a list': '[]', 'an empty object': '{}',
    'an id that is a number': eventText({ id: '5' }),
    'an id that is no UUID': eventText({ id: '"one"' }),
    'an id without hyphens': eventText({ id: `"${randomUUID().replaceAll('-', '')}"` }),
    'the nil UUID': eventText({ id: '"00000000-0000-0000-0000-000000000000"' }),
    'the max UUID': eventText({ id: '"ffffffff-ffff-ffff-ffff-ffffffffffff"' }),
    'a name that is a number': eventText({ name: '7' }),
    'an empty name': eventText({ name: '""' }),
    'a name of 300 characters': eventText({ name: `"${'a'.repeat(300)}"` }),
    'a version that is a text': eventText({ version: '"1"' }),
    'version 0': eventText({ version: '0' }),
    'version 65,536': eventText({ version: '65536' }),
    'a version that is a fraction': eventText({ version: '1.5' }),
    'properties that are null': eventText({ properties: 'null' }),
    'properties that are a list': eventText({ properties: '[]' }),
    'properties that are a text': eventText({ properties: '"x"' }),
    'a member that does not exist': eventText({ account_id: '"grace"' }),
    'the year 1': withTime('0001-01-01T00:00:00Z'),
    'the year 9999': withTime('9999-12-31T23:59:59Z'),
    'the year 275760': withTime('+275760-09-13T00:00:00Z'),
    '61 minutes': withTime('2026-01-01T25:61:00Z'),
    'the 30th of February': withTime('2026-02-30T00:00:00Z'),
    'a time without a zone': withTime('2026-01-01T00:00:00'),
    'a zone that does not exist': withTime('2026-01-01T00:00:00+25:00'),
    'a date': withTime('2026-01-01'),
    now: withTime('now'),
    'a time that is a number': eventText({ occurred_at: '1767225600000' })
  },
  unknown_event: {
    'a name with SQL': eventText({ name: '"\'; DROP TABLE events; --"' }),
    'a name that is a parameter': eventText({ name: '"{x:String}"' }),
    'a name that is a template': eventText({ name: '"${process.exit(1)}"' }),
    'a name of invisible characters': eventText({ name: '"\u202eevent\u200b"' }),
    'a name that every object has': eventText({ name: '"constructor"' }),
    'a version that is not released': eventText({ version: '99' })
  },
  too_old: { '31 days old': withTime(daysAgo(31)), '400 days old': withTime(daysAgo(400)) },
  event_too_large: {
    '64 KiB and one byte': withBytes(65_537),
    'most of it beside its properties': withBytes(60_000).replace(/Z"/, () => `${'0'.repeat(6000)}Z"`)
  }
}

/** Posts one bad event between two good ones, and expects that only the bad one suffers. */
async function isRefusedAlone (t: Test, reason: string, text: string, about: string): Promise<void> {
  const neighbours = [makeEvent(heartbeat), makeEvent(heartbeat)]
  const [before, after] = neighbours.map(event => JSON.stringify(event))
  const answer = await post(JSON.stringify(makeBatch({ events: ['HERE'] })).replace('"HERE"', () => `${before!},${text},${after!}`))
  t.match(answer, { status: 202, body: { accepted: 2, dropped: 0, rejected: 1, results: [{ outcome: 'rejected', reason }] } }, about)
  t.equal(answer.body['results']?.length, 1, about)
  acceptedIds.push(...neighbours.map(({ id }) => id as string))
}

for (const [reason, cases] of Object.entries(refused)) {
  t.test(`an event is rejected as ${reason} alone, whatever stands beside it`, async t => {
    for (const [about, text] of Object.entries(cases)) await isRefusedAlone(t, reason, text, about)
  })
}

t.test('an event that is refused is named by its id or, without one, by its place', async t => {
  const bad = makeEvent({ ...heartbeat, properties: {} })
  const { body } = await service.post(token, { events: [null, bad, { ...bad, id: 'x' }, { ...bad, id: String(bad['id']).toUpperCase() }] })
  t.match(body['results'], [{ id: null, index: 0 }, { id: bad['id'] }, { id: null, index: 2 }, { id: bad['id'] }])
})

t.test('the same event twice in a batch is stored once, and the batch with other events is another', async t => {
  const [one, two] = [makeEvent(heartbeat), makeEvent(heartbeat)]
  const batchId = randomUUID()
  const twice = { batch_id: batchId, events: [one, { ...one, id: String(one['id']).toUpperCase() }] }
  t.match(await service.post(token, twice), { status: 202, body: { accepted: 2, results: [{ id: one['id'], outcome: 'accepted', reason: 'duplicate' }] } })
  t.match(await service.post(token, { batch_id: batchId, events: [two] }), { status: 202, body: { accepted: 1 } })
  acceptedIds.push(one['id'] as string, two['id'] as string)
})

t.test('what is strange but allowed is stored as it was sent, and a time ahead is corrected', async t => {
  const query = '\'); DROP TABLE events; -- {x:String} ${y} %s \\ " \u202e\u200b\u{1f600}\n\t'
  const ahead = makeEvent({ name: 'search.performed', properties: { area: 'help', query }, occurred_at: daysAgo(-1) })
  t.match(await service.post(token, { events: [ahead] }), { status: 202, body: { accepted: 1, results: [] } })
  acceptedIds.push(ahead['id'] as string)
  const row = `events_v WHERE event_id = '${String(ahead['id'])}'`
  await eventually('it is stored', async () => await service.count(row) === 1)
  const [stored] = await service.sql(`SELECT properties, captured_at = received_at AS clamped, occurred_at > received_at AS ahead FROM ${row}`)
  t.strictSame(JSON.parse(stored?.['properties']), ahead['properties'])
  t.match(stored, { clamped: 1, ahead: 1 })
})

t.test('every neighbour was stored, and nothing else', async t => {
  await eventually('all are stored', async () => await service.count('events_v') >= acceptedIds.length)
  const rows = await service.sql<{ event_id: string }>('SELECT event_id FROM events_v')
  t.strictSame(rows.map(row => row.event_id).sort(), acceptedIds.sort())
  t.equal(await service.count('failed_events'), 0)
})
