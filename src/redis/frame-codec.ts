/**
 * How the rows of a batch travel in a job: columns, zstd, then base64, since a job is JSON. Of the bytes, ids are most:
 * they are random, so they go as they are, 16 bytes each, apart from the rest.
 */
import { constants, createZstdCompress, zstdDecompressSync } from 'node:zlib'
import { capturedAt } from '../domain/event.ts'
import type { BatchRows, Frame, FrameCodec } from '../flows/ports.ts'

/** Fewer bytes than this travel faster as they are. */
const packFrom = 1000
/** Each write is a frame of its own. Level 1: rows of one batch are so alike that a higher level gains nothing. */
const fastest = { flush: constants.ZSTD_e_end, chunkSize: 16 * 1024, params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** A compressor has one batch at a time in hand, and about a megabyte. */
const compressorsMax = 4
const zstdMagic = 0x28
const lineFeed = 0x0a
const idBytes = 16

/** Everything but the rows, in a line of JSON. */
type Head = [productVersion: string, accountRef: string, deviceRef: string, batchId: string, sentAt: number, frames: FrameHead[]]
type FrameHead = [name: string, version: number, purpose: string, reason: string, entry: string | null, fieldPurposes: readonly string[], firstCapturedAt: number, rows: number]

export function makeFrameCodec (): FrameCodec {
  const compressors: Array<((bytes: Buffer) => Promise<Buffer>) | undefined> = []
  let next = 0
  return {
    async pack (rows) {
      const bytes = toBytes(rows)
      if (bytes.length < packFrom) return bytes.toString('base64')
      const place = next
      next = (next + 1) % compressorsMax
      const compress = compressors[place] ??= makeCompressor(() => { compressors[place] = undefined })
      return (await compress(bytes)).toString('base64')
    },
    unpack ({ body, receivedAt }) {
      const bytes = Buffer.from(body, 'base64')
      return fromBytes(bytes[0] === zstdMagic ? zstdDecompressSync(bytes) : bytes, receivedAt)
    }
  }
}

/** The head, the ids of all rows, and a line for each: when it occurred, and its properties, which begin with a brace. */
function toBytes ({ productVersion, accountRef, deviceRef, batchId, sentAt, frames }: BatchRows): Buffer {
  const head: Head = [productVersion, accountRef, deviceRef, batchId, sentAt, frames.map(
    ({ name, version, purpose, reason, consentEntry, fieldPurposes, firstCapturedAt, eventIds }) =>
      [name, version, purpose, reason, consentEntry, fieldPurposes, firstCapturedAt, eventIds.length]
  )]
  const top = `${JSON.stringify(head)}\n`
  const ids = frames.map(({ eventIds }) => eventIds.join('')).join('').replaceAll('-', '')
  let lines = ''
  for (const { occurredAt, properties } of frames) {
    for (let index = 0; index < properties.length; index++) lines += `${String(occurredAt[index])}${properties[index] ?? ''}\n`
  }
  return Buffer.concat([Buffer.from(top), Buffer.from(ids, 'hex'), Buffer.from(lines)])
}

function fromBytes (bytes: Buffer, receivedAt: number): BatchRows {
  const headEnd = bytes.indexOf(lineFeed)
  const [productVersion, accountRef, deviceRef, batchId, sentAt, heads] = JSON.parse(bytes.toString('utf8', 0, headEnd)) as Head
  let idsFrom = headEnd + 1
  const idsEnd = idsFrom + heads.reduce((sum, head) => sum + head[7], 0) * idBytes
  const lines = bytes.toString('utf8', idsEnd).split('\n')
  let line = 0
  const frames = heads.map(([name, version, purpose, reason, consentEntry, fieldPurposes, firstCapturedAt, count]): Frame => {
    const hex = bytes.toString('hex', idsFrom, idsFrom += count * idBytes)
    const frame: Frame = { name, version, purpose, reason, consentEntry, fieldPurposes, firstCapturedAt, eventIds: [], occurredAt: [], capturedAt: [], properties: [] }
    for (let index = 0; index < count; index++) {
      const text = lines[line++] ?? ''
      const brace = text.indexOf('{')
      const occurredAt = Number(text.slice(0, brace))
      if (brace < 1 || !Number.isSafeInteger(occurredAt)) throw new Error('a row cannot be read')
      frame.eventIds.push(toUuid(hex, index * idBytes * 2))
      frame.occurredAt.push(occurredAt)
      frame.capturedAt.push(capturedAt(occurredAt, sentAt, receivedAt))
      frame.properties.push(text.slice(brace))
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
function makeCompressor (onBroken: () => void): (bytes: Buffer) => Promise<Buffer> {
  let chunks: Buffer[] = []
  const stream = createZstdCompress(fastest)
  stream.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  stream.once('error', onBroken)
  const compress = async (bytes: Buffer): Promise<Buffer> => {
    chunks = []
    await new Promise<void>((resolve, reject) => {
      stream.write(bytes, error => { if (error == null) resolve(); else reject(error) })
    })
    return Buffer.concat(chunks)
  }
  let turn: Promise<unknown> = Promise.resolve()
  return async bytes => {
    const packed = turn.then(async () => await compress(bytes))
    turn = packed.catch(() => {})
    return await packed
  }
}
