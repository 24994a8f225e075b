/** Batches of events of which it is known beforehand what must become of them. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { heartbeat, makeEvent } from '../support/api.ts'
import { rightCoding, wrongCoding, type Body } from './bodies.ts'
import { hostileText, marker } from './hostile-values.ts'

/** `optional`: accepted from those who said yes. */
export type Fate = 'accepted' | 'optional' | 'rejected'

export interface Batch {
  body: Body
  /** By id, where the batch as such is right; undefined where all of it is refused. */
  fates: ReadonlyMap<string, Fate> | undefined
  /** Every id that stands in it. */
  ids: readonly string[]
}

interface Sketch { fate: Fate, write: (id: string, now: number) => string }

const required = (id: string, now: number, more: Record<string, unknown> = {}): Record<string, unknown> => makeEvent({ ...heartbeat, id, occurred_at: new Date(now).toISOString(), ...more })
const raw = (properties: string, members = ''): Sketch['write'] => (id, now) =>
  JSON.stringify(required(id, now, { properties: 'HERE' })).replace('"HERE"', () => properties).replace(/^\{/, () => `{${members}`)
const license = '"license_id":"LIC-7Q4M-20XZ"'

const rejected: ReadonlyArray<Sketch['write']> = [
  ...['-0', '1e400', '1e-400', '9007199254740993', '"1"', '1.5', 'null', 'true', '[1]', '{}', '-1', '1e15'].map(value => raw(`{${license},"seats_in_use":${value}}`)),
  ...['"\\ud800"', '"LIC\\u0000"', '5', 'null', `"${marker}"`, '"=cmd()"', '"../../etc/passwd"'].map(value => raw(`{"license_id":${value},"seats_in_use":1}`)),
  ...['"seats_in_use":2', '"seats\\u005fin_use":2', '"email":"ada@example.com"', '"a":[[[[]]]]', '"\\udc00":1', '"toString":1', '"constructor":1'].map(more => raw(`{${license},"seats_in_use":1,${more}}`)),
  raw('{}'), raw('[]'), raw('null'), raw(`"${marker}"`), raw(`{${license},"seats_in_use":1}`, '"account_id":"grace",'), ...['"name":"session.start",', '"name":"",', '"version":0,', '"id":"",', '"occurred_at":"",'].map(member => raw(`{${license},"seats_in_use":1}`, member)),
  raw(`{"a":"${Array.from({ length: 1900 }, () => randomUUID()).join('')}"}`), // What shrinks too well would be taken for a bomb.
  ...['unknown', 'constructor', '\'; DROP TABLE events; --', '{x:String}', 'COMMAND.RUN', 'command.run ', '', 'a'.repeat(200)].map(name => (id: string, now: number) => JSON.stringify(required(id, now, { name }))),
  ...[0, 2, 99, 65_536, -1, 1.5].map(version => (id: string, now: number) => JSON.stringify(required(id, now, { version }))),
  ...['0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '+275760-09-13T00:00:00Z', '2026-02-30T00:00:00Z', '2026-01-01T00:00:00', '2020-01-01T00:00:00Z', 'now'].map(at => (id: string, now: number) => JSON.stringify(required(id, now, { occurred_at: at }))),
  id => JSON.stringify({ id }), id => JSON.stringify([id]), id => JSON.stringify(id)
]

const sketch: fc.Arbitrary<Sketch> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Sketch>({ fate: 'accepted', write: (id, now) => JSON.stringify(required(id, now)) }) },
  { weight: 2, arbitrary: fc.constantFrom('LINE', 'ARC').map((command): Sketch => ({ fate: 'optional', write: (id, now) => JSON.stringify(makeEvent({ id, occurred_at: new Date(now).toISOString(), properties: { command } })) })) },
  { weight: 5, arbitrary: fc.constantFrom(...rejected).map((write): Sketch => ({ fate: 'rejected', write })) },
  { weight: 1, arbitrary: hostileText.map((name): Sketch => ({ fate: 'rejected', write: (id, now) => JSON.stringify(required(id, now, { name: `${name}${marker}` })) })) }
)

/** What makes all of a batch be refused, as members beside the right ones (the last wins, or two are one too many). */
const refused: ReadonlyArray<(text: string) => string> = [
  ...['"events":[]', '"__proto__":{"product":1}', '"constructor":{"prototype":1}', '"account_id":"grace"', '"a":1e400', '"a":"\\ud800"', `"a":${'['.repeat(9)}${']'.repeat(9)}`].map(member => (text: string) => `{${member},${text.slice(1)}`),
  ...['"one"', 'null', '5', '"00000000-0000-0000-0000-000000000000"'].map(id => (text: string) => text.replace(/"batch_id":"[^"]*"/, `"batch_id":${id}`)),
  ...['"2026-01-01T00:00:00"', '"9999-12-31T23:59:59Z"', '1767225600000', 'null'].map(at => (text: string) => text.replace(/"sent_at":"[^"]*"/, `"sent_at":${at}`)),
  ...['"cad"', 'null', '{}', '{"name":"cad","release":"2026"}', '{"name":"cad","release":1}', '{"name":"a b","release":2026}'].map(product => (text: string) => text.replace(/"product":\{[^}]*\}/, `"product":${product}`)),
  ...['"../pc"', 'null', '"__proto__"', '""', `"${'a'.repeat(129)}"`].map(device => (text: string) => `{"device_id":${device},${text.slice(1)}`),
  text => text.slice(0, -1), text => `${text}x`, text => `\ufeff${text}`
]

export const batch: fc.Arbitrary<(now: number) => Batch> = fc.record({
  sketches: fc.array(sketch, { minLength: 1, maxLength: 6 }),
  // JSON may have blanks wherever it has a comma.
  comma: fc.constantFrom(',', ',', ' ,', '\n,', ', ', '\r\n\t,\n'),
  code: rightCoding,
  spoil: fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...refused).map(change => ({ change })) },
    { weight: 1, arbitrary: wrongCoding.map(code => ({ code })) }
  )
}).map(({ sketches, comma, code, spoil }) => now => {
  const events = sketches.map(({ fate, write }) => {
    const id = randomUUID()
    return { id, fate, text: write(id, now) }
  })
  const envelope = JSON.stringify({ batch_id: randomUUID(), sent_at: new Date(now).toISOString(), product: { name: 'cad', release: 2026 }, events: 'HERE' })
  const text = envelope.replace('"HERE"', () => `[${events.map(({ text }) => text).join(comma)}]`)
  const change = spoil !== null && 'change' in spoil ? spoil.change : (right: string) => right
  const bytes = Buffer.from(change(text))
  return {
    body: spoil !== null && 'code' in spoil ? spoil.code(bytes) : code(bytes),
    fates: spoil === null ? new Map(events.map(({ id, fate }) => [id, fate])) : undefined,
    ids: events.map(({ id }) => id)
  }
})
