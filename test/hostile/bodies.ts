/** Bodies of requests: right ones, and right ones spoiled in one place. */
import { brotliCompressSync, gzipSync, zstdCompressSync, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { hostileName, hostileValue, marker } from './hostile-values.ts'

export interface Body { bytes: Buffer, headers: Record<string, string> }

const json = { 'content-type': 'application/json' }
const MiB = 1_048_576

type Place = Array<string | number>

function placesIn (value: unknown, place: Place = []): Place[] {
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return [place, ...members.flatMap(([name, member]) => placesIn(member, [...place, Array.isArray(value) ? Number(name) : name]))]
}

/** A copy in which what stands at a place is what `change` makes of it; undefined leaves it out. */
function changed (value: unknown, [first, ...rest]: Place, change: (value: unknown) => unknown): unknown {
  if (first === undefined) return change(value)
  if (Array.isArray(value)) return value.flatMap((member, index) => index === first ? changed(member, rest, change) ?? [] : [member])
  return Object.fromEntries(Object.entries(value as object).flatMap(([name, member]) => {
    const now = name === first ? changed(member, rest, change) : member
    return now === undefined ? [] : [[name, now]]
  }))
}

const spoiledValue = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => fc.tuple(value, fc.nat(), fc.oneof(
  hostileValue.map(hostile => () => hostile),
  fc.constant(() => undefined),
  fc.tuple(hostileName, hostileValue).map(([name, hostile]) => (held: unknown) =>
    typeof held === 'object' && held !== null && !Array.isArray(held) ? { ...held, [name]: hostile } : hostile)
)).map(([value, at, change]) => {
  const places = placesIn(value)
  return changed(value, places[at % places.length] ?? [], change)
})

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
const members: readonly string[] = [
  '"__proto__":{"admin":true}', '"\\u005f_proto__":1', '"constructor":{"prototype":{"admin":true}}', '"a":1,"a":2', '"a":"\\ud800"', '"\\udc00":1', '"a":"\\u0000"',
  '"a":1e400', '"a":-1e400', '"a":-0', '"a":1e-400', '"a":9007199254740993', `"a":${'9'.repeat(400)}`, `"a":${nested(8)}`, `"a":${nested(10_000)}`, `"a":"${marker}"`
]
const textTricks: ReadonlyArray<(text: string) => string> = [
  ...members.map(member => (text: string) => text.replace(/^\{\}?/, found => found === '{}' ? `{${member}}` : `{${member},`)),
  text => text.replace(/^\{("[^"]*":)/, (_, name: string) => `{${name}null,${name}`),
  text => text.slice(0, -1),
  text => text.slice(0, text.length / 2),
  text => `${text} x`,
  text => text + text,
  text => `\ufeff${text}`,
  text => text.replaceAll('"', '\''),
  text => text.replace(/\}$/, ',}'),
  text => `/* x */${text}`,
  text => text.replace(/:[^,}]*/, ':NaN'),
  text => text.replace(/:[^,}]*/, ':01'),
  text => text.replace(/:"/, ':"\u0001'),
  () => '', () => '  \n', () => 'null', () => '[]', () => '"x"', () => '1', () => '{}', () => '[1e400]', () => '"\\ud800"', () => '<a/>', () => 'a=1&b=2',
  () => nested(10_000), () => '['.repeat(100_000), () => '{"a":'.repeat(100_000), () => `{${'"a":1,'.repeat(50_000)}"a":1}`
]

const insert = (bytes: Buffer, at: number, ...more: number[]): Buffer => Buffer.concat([bytes.subarray(0, at), Buffer.from(more), bytes.subarray(at)])
const byteTricks: ReadonlyArray<(bytes: Buffer, at: number) => Buffer> = [
  bytes => Buffer.from(bytes.toString(), 'utf16le'),
  bytes => Buffer.from(`\ufeff${bytes.toString()}`, 'utf16le').swap16(),
  (bytes, at) => insert(bytes, at, 0xff),
  (bytes, at) => insert(bytes, at, 0),
  (bytes, at) => insert(bytes, at, 0xc0, 0xaf),
  (bytes, at) => insert(bytes, at, 0xed, 0xa0, 0x80),
  (bytes, at) => insert(bytes, at, 0xe2, 0x82),
  bytes => Buffer.concat([bytes, Buffer.alloc(70_000, ' ')]),
  bytes => Buffer.concat([bytes, Buffer.alloc(MiB, ' ')])
]

const compressors: Readonly<Record<string, (bytes: Buffer) => Buffer>> = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync }
const zeros = Buffer.alloc(32 * MiB)
const bombs = Object.entries(compressors).map(([coding, compress]): Body => ({ bytes: compress(zeros), headers: { ...json, 'content-encoding': coding } }))

export const rightCoding: fc.Arbitrary<(bytes: Buffer) => Body> = fc.oneof(
  { weight: 4, arbitrary: fc.constant((bytes: Buffer) => ({ bytes, headers: json })) },
  { weight: 1, arbitrary: fc.constantFrom(...Object.entries(compressors)).map(([coding, compress]) => (bytes: Buffer) => ({ bytes: compress(bytes), headers: { ...json, 'content-encoding': coding } })) }
)

/** Bytes in a form in which they are not understood. */
export const wrongCoding: fc.Arbitrary<(bytes: Buffer) => Body> = fc.oneof(
  fc.constantFrom(...Object.entries(compressors)).chain(([coding, compress]) => fc.constantFrom<(bytes: Buffer) => Buffer>(
    bytes => bytes, bytes => compress(bytes).subarray(0, -5), bytes => Buffer.concat([compress(bytes), Buffer.from('more')]), bytes => compress(compress(bytes)), () => compress(Buffer.alloc(0)), () => Buffer.alloc(0)
  ).map(spoil => (bytes: Buffer) => ({ bytes: spoil(bytes), headers: { ...json, 'content-encoding': coding } }))),
  fc.constantFrom('zzz', 'deflate', 'gzip, gzip', 'gzip, br', '*', ',', 'gzip;q=1').map(coding => (bytes: Buffer) => ({ bytes: deflateSync(bytes), headers: { ...json, 'content-encoding': coding } })),
  fc.constantFrom('text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/json;;;', 'application/json; charset=utf-16', 'application/json; charset=utf-7', 'application/jsonx', '*/*', 'json', '', '\t')
    .map(type => (bytes: Buffer) => ({ bytes, headers: { 'content-type': type } })),
  fc.constant((bytes: Buffer) => ({ bytes, headers: {} })),
  fc.constantFrom(...bombs).map(bomb => () => bomb)
)

/** Bodies whose value is spoiled, or whose text, bytes or form are. */
export function spoiledBody (value: fc.Arbitrary<unknown>): fc.Arbitrary<Body> {
  const text = value.map(value => JSON.stringify(value ?? null))
  return fc.oneof(
    { weight: 6, arbitrary: fc.tuple(spoiledValue(value), rightCoding).map(([value, code]) => code(Buffer.from(JSON.stringify(value ?? null)))) },
    { weight: 4, arbitrary: fc.tuple(text, fc.constantFrom(...textTricks), rightCoding).map(([text, trick, code]) => code(Buffer.from(trick(text)))) },
    { weight: 2, arbitrary: fc.tuple(text, fc.constantFrom(...byteTricks), fc.nat()).map(([text, trick, at]) => ({ bytes: trick(Buffer.from(text), at % (text.length + 1)), headers: json })) },
    { weight: 2, arbitrary: fc.tuple(text, wrongCoding).map(([text, code]) => code(Buffer.from(text))) }
  )
}

export function rightBody (value: fc.Arbitrary<unknown>): fc.Arbitrary<Body> {
  return fc.tuple(value, rightCoding).map(([value, code]) => code(Buffer.from(JSON.stringify(value))))
}
