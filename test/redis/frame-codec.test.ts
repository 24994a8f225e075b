import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { BatchRows } from '../../src/flows/ports.ts'
import { makeFrameCodec } from '../../src/redis/frame-codec.ts'

const receivedAt = Date.now()
const sentAt = receivedAt - 60_000

/** A batch of two kinds; `count` rows each. */
function makeRows (count: number): BatchRows {
  const frame = (name: string, entry: string | null, properties: (index: number) => string): BatchRows['frames'][number] => ({
    name, version: 2, purpose: 'product_analytics', reason: 'account_granted', consentEntry: entry, fieldPurposes: ['diagnostics'], firstCapturedAt: receivedAt - (count - 1),
    eventIds: Array.from({ length: count }, () => randomUUID()),
    occurredAt: Array.from({ length: count }, (_, index) => sentAt - index),
    capturedAt: Array.from({ length: count }, (_, index) => receivedAt - index),
    properties: Array.from({ length: count }, (_, index) => properties(index))
  })
  return {
    productVersion: '26.1 "β"', accountRef: 'a'.repeat(32), deviceRef: '', batchId: randomUUID(), sentAt,
    frames: [frame('command.run', randomUUID(), index => JSON.stringify({ text: `\n{}"\\ \u{1f600} ${String(index)}` })), frame('file.open', null, () => '{}')]
  }
}

t.test('what is written is read, row for row', async t => {
  const codec = makeFrameCodec()
  for (const count of [1, 3, 500]) {
    const rows = makeRows(count)
    t.same(codec.read({ body: codec.write(rows), receivedAt }), rows, `${String(count)} rows of each kind`)
  }
})

t.test('what cannot be read is an error, never rows', async t => {
  const codec = makeFrameCodec()
  const body = codec.write(makeRows(50))
  const small = codec.write(makeRows(1))
  for (const broken of ['', 'nobody can read this', body.slice(0, -40), `${body.slice(0, 2000)}${body.slice(2100)}`, small.slice(0, -10), small.slice(0, 100)]) {
    t.throws(() => codec.read({ body: broken, receivedAt }))
  }
})

t.test('a row without its id is not written, since it would take that of the next', async t => {
  const rows = makeRows(3)
  rows.frames[0]!.eventIds[1] = ''
  t.throws(() => makeFrameCodec().write(rows), { message: 'an id is none' })
})
