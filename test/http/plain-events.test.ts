import fc from 'fast-check'
import t from 'tap'
import { eventShape, findDeviceId, readBatch } from '../../src/http/read-batch.ts'

const limits = { wireBytesMax: 1e6, inflatedBytesMax: 1e6, eventsPerBatchMax: 1000, eventBytesMax: 1e6 }
const envelope = { batch_id: '5b0c3a52-6f0e-4a53-9c0e-0d3f9f6f1a10', sent_at: '2026-01-02T03:04:05Z', product: { name: 'cad', release: 2026 } }
const read = (events: unknown[]) => readBatch(Buffer.from(JSON.stringify({ ...envelope, events })), limits).batch.elements

const digits = (from: number, to: number) => fc.integer({ min: from, max: to }).map(value => String(value).padStart(2, '0'))
const time = fc.tuple(fc.integer({ min: 1999, max: 2101 }), digits(0, 13), digits(0, 32), digits(0, 25), digits(0, 61), digits(0, 61), fc.constantFrom('', '.5', '.123', '.1234'), fc.constantFrom('Z', 'z', '+01:00', ''))
  .map(([year, month, day, hour, minute, second, fraction, zone]) => `${String(year)}-${month}-${day}T${hour}:${minute}:${second}${fraction}${zone}`)

t.test('an event in its usual form is read as its shape reads it', t => {
  fc.assert(fc.property(fc.oneof({ weight: 3, arbitrary: fc.date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }).map(at => at.toISOString()) }, { weight: 2, arbitrary: time }), occurredAt => {
    const event = { id: '5b0c3a52-6f0e-4a53-9c0e-0d3f9f6f1a11', name: 'command.run', version: 1, occurred_at: occurredAt, properties: {} }
    const [element] = read([event])
    const shaped = eventShape.safeParse(event)
    return shaped.success ? element?.event?.occurredAt === shaped.data.occurred_at : element?.fault?.reason === 'invalid_event'
  }), { numRuns: 3000, seed: 5 })
  t.end()
})

t.test('the device that a batch names is found near its beginning', t => {
  const found = (text: string) => findDeviceId(Buffer.from(text))
  t.equal(found('{"device_id": "pc-1","events":[]}'), 'pc-1')
  t.equal(found('{"events":[]}'), undefined)
  t.equal(found('{"device_id":"two words"}'), undefined)
  t.equal(found(`${' '.repeat(600)}{"device_id":"pc-1"}`), undefined)
  t.end()
})
