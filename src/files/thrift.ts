/** The compact protocol of Apache Thrift, as far as the metadata of a Parquet file needs it. */

/** A value with its type. A structure names its fields by their numbers, rising. */
export type Thrift =
  { type: 'i32' | 'i64', value: number } |
  { type: 'bool', value: boolean } |
  { type: 'text', value: string } |
  { type: 'list', items: readonly Thrift[] } |
  { type: 'struct', fields: Readonly<Record<number, Thrift>> }

export const i32 = (value: number): Thrift => ({ type: 'i32', value })
export const i64 = (value: number): Thrift => ({ type: 'i64', value })
export const bool = (value: boolean): Thrift => ({ type: 'bool', value })
export const text = (value: string): Thrift => ({ type: 'text', value })
export const list = (items: readonly Thrift[]): Thrift => ({ type: 'list', items })
export const struct = (fields: Readonly<Record<number, Thrift>>): Thrift => ({ type: 'struct', fields })

export function encodeThrift (value: Thrift): Buffer {
  return Buffer.concat([...parts(value)])
}

function * parts (value: Thrift): Generator<Uint8Array> {
  switch (value.type) {
    case 'bool':
      yield Uint8Array.of(typeCode(value))
      return
    case 'i32':
    case 'i64':
      yield varint(zigzag(value.value))
      return
    case 'text': {
      const bytes = Buffer.from(value.value)
      yield varint(BigInt(bytes.length))
      yield bytes
      return
    }
    case 'list': {
      const [first] = value.items
      const code = first === undefined ? 0 : typeCode(first)
      const { length } = value.items
      yield length < 15 ? Uint8Array.of(length << 4 | code) : Buffer.concat([Uint8Array.of(0xf0 | code), varint(BigInt(length))])
      for (const item of value.items) yield * parts(item)
      return
    }
    case 'struct': {
      let before = 0
      for (const [number, field] of Object.entries(value.fields)) {
        yield Uint8Array.of((Number(number) - before) << 4 | typeCode(field))
        before = Number(number)
        if (field.type !== 'bool') yield * parts(field) // A truth value lies in the type.
      }
      yield Uint8Array.of(0)
    }
  }
}

function typeCode (value: Thrift): number {
  if (value.type === 'bool') return value.value ? 1 : 2
  return { i32: 5, i64: 6, text: 8, list: 9, struct: 12 }[value.type]
}

function zigzag (value: number): bigint {
  const big = BigInt(value)
  return big < 0n ? -big * 2n - 1n : big * 2n
}

export function varint (value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  return Uint8Array.of(...bytes, Number(rest))
}
