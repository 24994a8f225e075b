/**
 * How the rows of a batch travel in a job: the ids, which are random and most of the bytes, as they are, 16 bytes each; the
 * rest as lines, in zstd; all of it as text, since a job is JSON. A batch is compressed where it is packed: to hand so little
 * to another thread costs more than the work itself.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { capturedAt } from '../domain/event.ts'
import type { BatchRows, Frame, FrameCodec } from '../flows/ports.ts'

/** Fewer characters than this travel faster as they are. */
const packFrom = 1000
/** Rows of one batch are so alike that a higher level gains nothing. */
const fastest = { chunkSize: 16 * 1024, params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** With which zstd begins. What is not packed begins with a bracket. */
const zstdMagic = 0x28
/** Before the ids: how many rows there are. */
const countBytes = 3
const idBytes = 16
const uuidLength = 36
const DASH = 0x2d
const hexValues = new Uint8Array(128)
for (let value = 0; value < 16; value++) hexValues[value.toString(16).charCodeAt(0)] = value

/** Everything but the rows. */
type Head = [productVersion: string, accountRef: string, deviceRef: string, batchId: string, sentAt: number, frames: FrameHead[]]
type FrameHead = [name: string, version: number, purpose: string, reason: string, entry: string | null, fieldPurposes: readonly string[], rows: number]

export function makeFrameCodec (): FrameCodec {
  return {
    pack (rows) {
      const ids = idsOf(rows.frames)
      const text = textOf(rows)
      const packed = text.length < packFrom ? Buffer.from(text) : zstdCompressSync(text, fastest)
      const count = Buffer.alloc(countBytes)
      count.writeUIntBE(ids.length / idBytes, 0, countBytes)
      return { body: Buffer.concat([count, ids, packed]).toString('base64'), bytes: ids.length + text.length }
    },
    unpack ({ body, receivedAt }) {
      const bytes = Buffer.from(body, 'base64')
      const textFrom = countBytes + bytes.readUIntBE(0, countBytes) * idBytes
      const text = bytes.subarray(textFrom)
      return readText((text[0] === zstdMagic ? zstdDecompressSync(text) : text).toString('utf8'), bytes.toString('hex', countBytes, textFrom), receivedAt)
    }
  }
}

function idsOf (frames: readonly Frame[]): Buffer {
  const texts = Buffer.from(frames.map(({ eventIds }) => eventIds.join('')).join(''), 'latin1')
  if (texts.length !== frames.reduce((sum, { eventIds }) => sum + eventIds.length, 0) * uuidLength) throw new Error('an id is none')
  const ids = Buffer.allocUnsafe(texts.length / uuidLength * idBytes)
  for (let at = 0, to = 0; at < texts.length; at += 2) {
    if (texts[at] === DASH) at++
    ids[to++] = (hexValues[texts[at] ?? 0] ?? 0) << 4 | (hexValues[texts[at + 1] ?? 0] ?? 0)
  }
  return ids
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
  if (heads.reduce((sum, [,,,,,, rows]) => sum + rows, 0) * idBytes * 2 !== ids.length) throw new Error('rows and ids are not as many')
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
