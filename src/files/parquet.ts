/**
 * Entries as Apache Parquet, a row group for each page. Plain and uncompressed, so that the same entries are the same
 * bytes whatever version of an engine or a compressor is installed.
 */
import { ledgerColumns, type LedgerColumn, type LedgerFile } from '../domain/export.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import { bool, encodeThrift, i32, i64, list, struct, text, varint, type Thrift } from './thrift.ts'

const magic = Buffer.from('PAR1')
// Names and numbers of parquet.thrift.
const byteArray = 6
const int64 = 2
const plain = 0
const rle = 3
const optional = 1
const dataPage = 0
const uncompressed = 0

interface RowGroup { rows: number, bytes: number, chunks: Thrift[] }

export function makeParquet (): LedgerFile {
  const groups: RowGroup[] = []
  let offset = 0
  const placed = (bytes: Buffer): Buffer => {
    offset += bytes.length
    return bytes
  }
  return {
    begin: () => placed(magic),
    page (entries) {
      if (entries.length === 0) return new Uint8Array()
      const group: RowGroup = { rows: entries.length, bytes: 0, chunks: [] }
      const pages = ledgerColumns.map(column => {
        const start = offset
        const page = placed(pageOf(column, entries))
        group.bytes += page.length
        group.chunks.push(chunkOf(column, entries.length, start, page.length))
        return page
      })
      groups.push(group)
      return Buffer.concat(pages)
    },
    end () {
      const footer = encodeThrift(footerOf(groups))
      const length = Buffer.alloc(4)
      length.writeUInt32LE(footer.length)
      return Buffer.concat([footer, length, magic])
    }
  }
}

/** One column of one row group: which rows have a value, and the values. */
function pageOf (column: LedgerColumn, entries: readonly LedgerEntry[]): Buffer {
  const cells = entries.map(column.read)
  const levels = levelsOf(cells.map(cell => cell !== null))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(levels.length)
  const data = Buffer.concat([length, levels, ...cells.flatMap(cell => cell === null ? [] : [bytesOf(cell)])])
  const header = encodeThrift(struct({
    1: i32(dataPage), 2: i32(data.length), 3: i32(data.length), 5: struct({ 1: i32(cells.length), 2: i32(plain), 3: i32(rle), 4: i32(rle) })
  }))
  return Buffer.concat([header, data])
}

/** Runs of equal bits, each as its length and its bit. */
function levelsOf (present: readonly boolean[]): Buffer {
  const runs: Uint8Array[] = []
  let start = 0
  for (let end = 1; end <= present.length; end++) {
    if (present[end] === present[start]) continue
    runs.push(varint(BigInt(end - start) << 1n), Uint8Array.of(present[start] === true ? 1 : 0))
    start = end
  }
  return Buffer.concat(runs)
}

function bytesOf (cell: string | number): Buffer {
  if (typeof cell === 'number') {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(cell))
    return bytes
  }
  const bytes = Buffer.alloc(4 + Buffer.byteLength(cell))
  bytes.writeUInt32LE(bytes.length - 4)
  bytes.write(cell, 4)
  return bytes
}

function chunkOf ({ name, kind }: LedgerColumn, rows: number, offset: number, bytes: number): Thrift {
  const metadata = struct({
    1: i32(kind === 'text' ? byteArray : int64),
    2: list([i32(plain), i32(rle)]),
    3: list([text(name)]),
    4: i32(uncompressed),
    5: i64(rows),
    6: i64(bytes),
    7: i64(bytes),
    9: i64(offset)
  })
  return struct({ 2: i64(offset), 3: metadata })
}

function footerOf (groups: readonly RowGroup[]): Thrift {
  return struct({
    1: i32(1),
    2: list([struct({ 4: text('ledger'), 5: i32(ledgerColumns.length) }), ...ledgerColumns.map(schemaOf)]),
    3: i64(groups.reduce((sum, { rows }) => sum + rows, 0)),
    4: list(groups.map(({ rows, bytes, chunks }) => struct({ 1: list(chunks), 2: i64(bytes), 3: i64(rows) }))),
    6: text('assent')
  })
}

function schemaOf ({ name, kind }: LedgerColumn): Thrift {
  const shared = { 3: i32(optional), 4: text(name) }
  if (kind === 'number') return struct({ 1: i32(int64), ...shared })
  if (kind === 'text') return struct({ 1: i32(byteArray), ...shared, 6: i32(0), 10: struct({ 1: struct({}) }) })
  // Milliseconds of UTC, in the old words and in the new.
  return struct({ 1: i32(int64), ...shared, 6: i32(9), 10: struct({ 8: struct({ 1: bool(true), 2: struct({ 1: struct({}) }) }) }) })
}
