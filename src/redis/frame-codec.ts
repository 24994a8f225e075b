/**
 * How the rows of a batch travel in a job: the ids, which are random and most of the bytes, as they are, 16 bytes each; the
 * rest as columns, in zstd; all of it as text, since a job is JSON.
 */
import { constants, createZstdCompress, zstdDecompressSync } from 'node:zlib'
import { capturedAt } from '../domain/event.ts'
import type { BatchRows, Frame, FrameCodec } from '../flows/ports.ts'
import { fromZ85, toZ85 } from './z85.ts'

/** Fewer characters than this travel faster as they are. */
const packFrom = 1000
/** Each write is a frame of its own. Level 1: rows of one batch are so alike that a higher level gains nothing. */
const fastest = { flush: constants.ZSTD_e_end, chunkSize: 16 * 1024, params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** A compressor has one batch at a time in hand, and about a megabyte. */
const compressorsMax = 4
/** With which zstd begins. What is not packed begins with a bracket. */
const zstdMagic = 0x28
/** Before the ids: how many bytes were added at the end, in one byte, and how many rows there are, in three. */
const prefixBytes = 4
const idBytes = 16

/** Everything but the rows. */
type Head = [productVersion: string, accountRef: string, deviceRef: string, batchId: string, sentAt: number, frames: FrameHead[]]
type FrameHead = [name: string, version: number, purpose: string, reason: string, entry: string | null, fieldPurposes: readonly string[], rows: number]

export function makeFrameCodec (): FrameCodec {
  const compressors: Array<((text: string) => Promise<Buffer>) | undefined> = []
  let next = 0
  const compress = async (text: string): Promise<Buffer> => {
    const place = next
    next = (next + 1) % compressorsMax
    const compressor = compressors[place] ??= makeCompressor(() => { compressors[place] = undefined })
    return await compressor(text)
  }
  return {
    async pack (rows) {
      const ids = idsOf(rows.frames)
      const text = textOf(rows)
      return toZ85(withPrefix(ids, text.length < packFrom ? Buffer.from(text) : await compress(text)))
    },
    unpack ({ body, receivedAt }) {
      const bytes = fromZ85(body)
      const [added = 0] = bytes
      const textFrom = prefixBytes + bytes.readUIntBE(1, 3) * idBytes
      const text = bytes.subarray(textFrom, bytes.length - added)
      return readText((text[0] === zstdMagic ? zstdDecompressSync(text) : text).toString('utf8'), bytes.toString('hex', prefixBytes, textFrom), receivedAt)
    }
  }
}

function withPrefix (ids: Buffer, text: Buffer): Buffer {
  const length = prefixBytes + ids.length + text.length
  const added = (4 - length % 4) % 4
  const bytes = Buffer.alloc(length + added)
  bytes.writeUInt8(added)
  bytes.writeUIntBE(ids.length / idBytes, 1, 3)
  ids.copy(bytes, prefixBytes)
  text.copy(bytes, prefixBytes + ids.length)
  return bytes
}

function idsOf (frames: readonly Frame[]): Buffer {
  return Buffer.from(frames.map(({ eventIds }) => eventIds.join('')).join('').replaceAll('-', ''), 'hex')
}

/** A line for the head, and one for each row: when it occurred, and its properties, which begin with a brace. */
function textOf ({ productVersion, accountRef, deviceRef, batchId, sentAt, frames }: BatchRows): string {
  const head: Head = [productVersion, accountRef, deviceRef, batchId, sentAt, frames.map(
    ({ name, version, purpose, reason, consentEntry, fieldPurposes, eventIds }) => [name, version, purpose, reason, consentEntry, fieldPurposes, eventIds.length]
  )]
  let text = JSON.stringify(head)
  for (const { occurredAt, properties } of frames) {
    for (let index = 0; index < properties.length; index++) text += `\n${String(occurredAt[index])}${properties[index] ?? ''}`
  }
  return text
}

function readText (text: string, ids: string, receivedAt: number): BatchRows {
  const lines = text.split('\n')
  const [productVersion, accountRef, deviceRef, batchId, sentAt, heads] = JSON.parse(lines[0] ?? '') as Head
  let row = 0
  const frames = heads.map(([name, version, purpose, reason, consentEntry, fieldPurposes, rows]): Frame => {
    const frame: Frame = { name, version, purpose, reason, consentEntry, fieldPurposes, firstCapturedAt: Infinity, eventIds: [], occurredAt: [], capturedAt: [], properties: [] }
    for (const end = row + rows; row < end; row++) {
      const line = lines[row + 1] ?? ''
      const brace = line.indexOf('{')
      const occurredAt = Number(line.slice(0, brace))
      if (brace < 1 || !Number.isSafeInteger(occurredAt)) throw new Error('a row cannot be read')
      const captured = capturedAt(occurredAt, sentAt, receivedAt)
      frame.firstCapturedAt = Math.min(frame.firstCapturedAt, captured)
      frame.eventIds.push(toUuid(ids, row * idBytes * 2))
      frame.occurredAt.push(occurredAt)
      frame.capturedAt.push(captured)
      frame.properties.push(line.slice(brace))
    }
    return frame
  })
  return { productVersion, accountRef, deviceRef, batchId, sentAt, frames }
}

function toUuid (hex: string, at: number): string {
  return `${hex.slice(at, at + 8)}-${hex.slice(at + 8, at + 12)}-${hex.slice(at + 12, at + 16)}-${hex.slice(at + 16, at + 20)}-${hex.slice(at + 20, at + 32)}`
}

/**
 * Compresses one batch after the other, each to a frame of its own, off the event loop. The one stream keeps its memory:
 * a compressor made anew for each batch costs as much as the work itself, and leaves its megabyte to the collector of garbage.
 */
function makeCompressor (onBroken: () => void): (text: string) => Promise<Buffer> {
  let chunks: Buffer[] = []
  const stream = createZstdCompress(fastest)
  stream.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  stream.once('error', onBroken)
  const compress = async (text: string): Promise<Buffer> => {
    chunks = []
    await new Promise<void>((resolve, reject) => {
      stream.write(text, error => { if (error == null) resolve(); else reject(error) })
    })
    return Buffer.concat(chunks)
  }
  let turn: Promise<unknown> = Promise.resolve()
  return async text => {
    const packed = turn.then(async () => await compress(text))
    turn = packed.catch(() => {})
    return await packed
  }
}
