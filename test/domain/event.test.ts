import fc from 'fast-check'
import t from 'tap'
import { capturedAt } from '../../src/domain/event.ts'

const year = 365 * 86_400_000
const time = fc.integer({ min: Date.UTC(1971), max: Date.UTC(2199) })

t.test('a capture is dated by the server\'s clock, however wrong the client\'s is', async t => {
  const receivedAt = Date.UTC(2026, 4, 1)
  const ageMs = 60_000
  for (const offset of [0, 10 * year, -10 * year, 1, -1]) {
    const clientNow = receivedAt + offset
    t.equal(capturedAt(clientNow - ageMs, clientNow, receivedAt), receivedAt - ageMs, `clock off by ${offset} ms`)
  }
  fc.assert(fc.property(time, time, time, fc.integer(), (occurredAt, sentAt, receivedAt, offset) =>
    capturedAt(occurredAt + offset, sentAt + offset, receivedAt) === capturedAt(occurredAt, sentAt, receivedAt)))
})

t.test('nothing is captured after it was received', async t => {
  t.equal(capturedAt(2000, 1000, 5000), 5000)
  fc.assert(fc.property(time, time, time, (occurredAt, sentAt, receivedAt) => capturedAt(occurredAt, sentAt, receivedAt) <= receivedAt))
})

t.test('of two events of a batch the earlier one is not captured later', async () => {
  fc.assert(fc.property(time, time, time, time, (first, second, sentAt, receivedAt) =>
    (first <= second) === (capturedAt(first, sentAt, receivedAt) <= capturedAt(second, sentAt, receivedAt)) ||
    capturedAt(first, sentAt, receivedAt) === capturedAt(second, sentAt, receivedAt)))
})
