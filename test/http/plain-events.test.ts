import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { findEvent } from '../../src/domain/catalog.ts'
import { propertiesOf } from '../../src/domain/event.ts'
import { scanJson } from '../../src/http/json-scan.ts'
import { readPlainEvents } from '../../src/http/plain-events.ts'
import type { Problem } from '../../src/http/problem.ts'
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
      (event.definition === undefined || event.definition === findEvent(catalog, event.name, event.version)) &&
      (event.properties !== undefined || findEvent(catalog, event.name, event.version)?.findFault(slow.properties) === undefined)
  }), { numRuns: 20_000, seed: 7 })
  t.ok(taken > 2000 && usual > 1000, `${String(taken)} were taken, ${String(usual)} of them unread`)
})

t.test('however a batch is written, the same events are read from it', async t => {
  const events = examples.map(({ definition: { name, version }, properties }) => makeEvent({ name, version, properties }))
  const asTold = (elements: ReturnType<typeof read>) => elements.map(({ event }) => event && { ...event, properties: propertiesOf(event), definition: undefined })
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

/** What is read, or why not; `slowly`: where the beginning of the events is written as few write it. */
function tellRead (text: string, slowly: boolean): unknown {
  try {
    const { batch, deviceId } = readText(slowly ? text.replaceAll('"events":[', '"events" :[') : text)
    return { ...batch, deviceId, elements: batch.elements.map(({ event, ...told }) => event === undefined ? told : { ...event, text: JSON.stringify(propertiesOf(event)), properties: propertiesOf(event) }) }
  } catch (error) {
    return (error as Problem).slug
  }
}

t.test('whatever is misspelled in a batch, the same is read from its bytes as slowly', async t => {
  const events = fc.array(fc.constantFrom(...examples).map(({ definition: { name, version }, properties }) => makeEvent({ name, version, properties })), { minLength: 1, maxLength: 3 })
  let read = 0
  fc.assert(fc.property(events.chain(some => misspell(JSON.stringify({ ...envelope, events: some }))), text => {
    const told = tellRead(text, false)
    if (typeof told === 'object') read++
    return isDeepStrictEqual(told, tellRead(text, true))
  }), { numRuns: 10_000, seed: 11 })
  t.ok(read > 2000, `${String(read)} were batches`)
})

t.test('every event of a batch is told of, and none that lies within another', async t => {
  const head = JSON.stringify(envelope).slice(1, -1)
  const [one, two] = [makeEvent(), makeEvent()].map(event => JSON.stringify(event)) as [string, string]
  const { id, name, version, occurred_at: occurredAt, properties } = makeEvent()
  const [first, ...others] = ([['id', id], ['name', name], ['version', version], ['occurred_at', occurredAt], ['properties', properties]] as const).map(([key, value]) => `"${key}":${JSON.stringify(value)}`)
  for (const events of [
    `${one} ,${two},5`, `${one}\n,${two}`, `${one},${two} `, `${one}e0`, `${one}.0`, `${one}0`, `${one}null`, `${one} e1`, `0,{"events":[${one}]}`, `{"events":[${one}]},0`,
    `{"name":"",${others.join()}}`, `{"name":"",${[first, ...others.slice(0, -1)].join()}}`, `{"version":,${[first, ...others.slice(0, -1)].join()}}`, `{"version":0,${others.join()}}`,
    `{"name":"",${[first, others[0], others[1], others[3]].join()}}`, `{"id":"",${others.join()}}`, `{"occurred_at":"",${[first, others[0], others[1], others[3]].join()}}`
  ]) {
    for (const text of [`{${head},"events":[${events}]}`, `{${head},"events":[${two},${events}]}`, `{"events":[${events}],${head}}`]) t.strictSame(tellRead(text, false), tellRead(text, true), text)
  }
})

t.test('an event of any size stands alone: its neighbours are read', async t => {
  const huge = 5_000_000
  const read = (properties: string): unknown => {
    const text = JSON.stringify({ ...envelope, events: [makeEvent(), makeEvent(), makeEvent()] }).replace(/("properties":)[^}]*\}(?=\},\{[^{}]*\{[^{}]*\}\}\])/, `$1${properties}`)
    return readBatch(catalog, Buffer.from(text), { ...limits, wireBytesMax: 1e8, inflatedBytesMax: 1e8, eventBytesMax: 65_536 }).batch.elements.map(({ event, fault }) => event === undefined ? fault.reason : event.name)
  }
  for (const properties of [`{"a":"${'\\n'.repeat(huge)}"}`, `{"a":[${'1,'.repeat(huge)}1]}`, `{"a":"${'x'.repeat(huge)}"}`]) t.same(read(properties), ['command.run', 'event_too_large', 'command.run'])
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
