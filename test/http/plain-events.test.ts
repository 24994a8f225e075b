import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { findEvent } from '../../src/domain/catalog.ts'
import { propertiesOf } from '../../src/domain/event.ts'
import { scanJson } from '../../src/http/json-scan.ts'
import { readPlainEvents } from '../../src/http/plain-events.ts'
import { eventShape, findDeviceId, readBatch } from '../../src/http/read-batch.ts'
import { misspell } from '../support/misspelled.ts'
import { catalog, examples } from '../support/schemas.ts'

const limits = { wireBytesMax: 1e6, inflatedBytesMax: 1e6, eventsPerBatchMax: 1000, eventBytesMax: 1e6 }
const envelope = { batch_id: '5b0c3a52-6f0e-4a53-9c0e-0d3f9f6f1a10', sent_at: '2026-01-02T03:04:05Z', product: { name: 'cad', release: 2026 } }
const readText = (text: string) => readBatch(catalog, Buffer.from(text), limits)
const read = (events: unknown[]) => readText(JSON.stringify({ ...envelope, events })).batch.elements
const readPlain = (text: string, few = limits) => readPlainEvents(catalog, Buffer.from(text), Buffer.from(text).toString('latin1'), 0, few)
const makeEvent = (members: object = {}) => ({ id: randomUUID(), name: 'command.run', version: 1, occurred_at: '2026-01-02T03:04:05.678Z', properties: { command: 'LINE' }, ...members })

const digits = (from: number, to: number) => fc.integer({ min: from, max: to }).map(value => String(value).padStart(2, '0'))
const time = fc.tuple(fc.integer({ min: 1999, max: 2101 }), digits(0, 13), digits(0, 32), digits(0, 25), digits(0, 61), digits(0, 61), fc.constantFrom('', '.5', '.123', '.1234'), fc.constantFrom('Z', 'z', '+01:00', ''))
  .map(([year, month, day, hour, minute, second, fraction, zone]) => `${String(year)}-${month}-${day}T${hour}:${minute}:${second}${fraction}${zone}`)

t.test('the time of an event is read as its shape reads it', async () => {
  fc.assert(fc.property(fc.oneof({ weight: 3, arbitrary: fc.date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }).map(at => at.toISOString()) }, { weight: 2, arbitrary: time }), occurredAt => {
    const event = makeEvent({ occurred_at: occurredAt })
    const [element] = read([event])
    const shaped = eventShape.safeParse(event)
    return shaped.success ? element?.event?.occurredAt === shaped.data.occurred_at : element?.fault?.reason === 'invalid_event'
  }), { numRuns: 3000, seed: 5 })
})

/** What an event is by the rules alone, slowly: undefined when it is none, or when something of it would be lost by reading it. */
function readSlowly (text: string) {
  const { fatal, events } = scanJson(`{"events":[${text}]}`)
  if (fatal !== undefined || events !== undefined) return undefined
  const shaped = eventShape.safeParse(JSON.parse(text))
  return shaped.success ? shaped.data : undefined
}

t.test('what is read straight from the text is what it says, and nothing of it is lost or added', async t => {
  let [taken, usual] = [0, 0]
  const texts = fc.constantFrom(...examples).chain(({ definition: { name, version }, properties }) => misspell(JSON.stringify(makeEvent({ name, version, properties }))))
  fc.assert(fc.property(texts, text => {
    const plain = readPlain(`${text}]`)
    if (plain?.end !== text.length) return true
    taken++
    const [element] = plain.elements
    const slow = readSlowly(text)
    if (element?.event === undefined || slow === undefined) return false
    const { event } = element
    if (event.properties === undefined) usual++
    return event.id === slow.id && event.name === slow.name && event.version === slow.version && event.occurredAt === slow.occurred_at &&
      JSON.stringify(propertiesOf(event)) === JSON.stringify(slow.properties) && event.text === JSON.stringify(slow.properties) &&
      (event.properties !== undefined || findEvent(catalog, event.name, event.version)?.findFault(slow.properties) === undefined)
  }), { numRuns: 20_000, seed: 7 })
  t.ok(taken > 2000 && usual > 1000, `${String(taken)} were taken, ${String(usual)} of them unread`)
})

t.test('however a batch is written, the same events are read from it', async t => {
  const events = examples.map(({ definition: { name, version }, properties }) => makeEvent({ name, version, properties }))
  const asTold = (elements: ReturnType<typeof read>) => elements.map(({ event }) => event && { ...event, properties: propertiesOf(event) })
  const plain = asTold(read(events))
  t.equal(plain.length, events.length)
  t.notOk(plain.includes(undefined))
  t.same(asTold(readText(JSON.stringify({ ...envelope, events }, null, 2)).batch.elements), plain, 'with blanks')
  t.same(asTold(readText(JSON.stringify({ events: events.map(event => Object.fromEntries(Object.entries(event).reverse())), ...envelope })).batch.elements), plain, 'in another order')
  const escaped = JSON.stringify({ ...envelope, events }).replaceAll(/[A-Z]/g, letter => `\\u00${letter.charCodeAt(0).toString(16)}`)
  t.same(asTold(readText(escaped).batch.elements), plain, 'with letters escaped')
})

t.test('letters that take several bytes stay what they are', async t => {
  const properties = { text: 'Grüße, 東京 \u{1f600} "\\\n' }
  for (const read of [readText(JSON.stringify({ ...envelope, events: [makeEvent({ properties }), makeEvent()] })), readText(JSON.stringify({ ...envelope, events: [makeEvent({ properties }), makeEvent()] }, null, 1))]) {
    const [element, other] = read.batch.elements
    t.same(element?.event && propertiesOf(element.event), properties)
    t.equal(element?.event?.text, JSON.stringify(properties))
    t.equal(other?.event?.name, 'command.run')
  }
})

t.test('a batch of which anything else is unusual is read all the same, or refused for it', async t => {
  const events = `[${JSON.stringify(makeEvent())}]`
  const head = JSON.stringify(envelope).slice(1, -1)
  t.equal(readText(`{${head},"events":${events}}`).batch.elements.length, 1)
  for (const text of [
    `{${head},"events":${events}`, `{${head},"events":${events}}}`, `{${head},"events":${events},}`, `{${head},"events":${events},"events":${events}}`, `{${head},"events":${events},"more":1}`,
    `{${head},"more":{"events":${events}}}`, `{${head},"events":${events.slice(0, -1)},]}`, `{${head},"events":${events.slice(0, -1)}}`, `[{${head},"events":${events}}]`, `{${head},"__proto__":1,"events":${events}}`,
    `{"batch_id":"x",${head},"events":${events}}`, `\ufeff{${head},"events":${events}}`
  ]) t.throws(() => readText(text), { name: 'Problem' }, text.slice(0, 300))
})

t.test('events that are too many or too large are not taken for plain', async t => {
  const events = [makeEvent(), makeEvent()].map(event => JSON.stringify(event)).join()
  t.equal(readPlain(`${events}]`)?.elements.length, 2)
  t.equal(readPlain(`${events}]`, { ...limits, eventsPerBatchMax: 1 }), undefined)
  t.equal(readPlain(`${events}]`, { ...limits, eventBytesMax: 50 }), undefined)
})

t.test('the device that a batch names is found near its beginning', async t => {
  const found = (text: string) => findDeviceId(Buffer.from(text))
  t.equal(found('{"device_id": "pc-1","events":[]}'), 'pc-1')
  t.equal(found('{"events":[]}'), undefined)
  t.equal(found('{"device_id":"two words"}'), undefined)
  t.equal(found(`${' '.repeat(600)}{"device_id":"pc-1"}`), undefined)
})
