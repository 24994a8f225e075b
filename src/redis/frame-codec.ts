/**
 * How the rows of a batch are written as one text: a line for the ids, which are random and most of what is left of a batch
 * once it is compressed, 16 bytes each in base64; a line for what rows share; and a line for each row.
 */
import { capturedAt } from '../domain/event.ts'
import type { BatchRows, Frame, FrameCodec } from '../flows/ports.ts'

const idBytes = 16
const uuidLength = 36
const DASH = 0x2d
const hexDigits = Buffer.from('0123456789abcdef')
const hexValues = new Uint8Array(128)
for (const [value, digit] of hexDigits.entries()) hexValues[digit] = value

/** Everything but the rows. */
type Head = [productVersion: string, accountRef: string, deviceRef: string, batchId: string, sentAt: number, frames: FrameHead[]]
type FrameHead = [name: string, version: number, purpose: string, reason: string, entry: string | null, fieldPurposes: readonly string[], rows: number]

export function makeFrameCodec (): FrameCodec {
  return {
    write: rows => `${idsOf(rows.frames).toString('base64')}\n${textOf(rows)}`,
    read ({ body, receivedAt }) {
      const [ids = '', ...lines] = body.split('\n')
      return readLines(lines, uuidsOf(Buffer.from(ids, 'base64')), receivedAt)
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

function readLines (lines: readonly string[], ids: string, receivedAt: number): BatchRows {
  const [productVersion, accountRef, deviceRef, batchId, sentAt, heads] = JSON.parse(lines[0] ?? '') as Head
  if (!Number.isSafeInteger(sentAt) || !Number.isSafeInteger(receivedAt)) throw new Error('a time is none')
  if (heads.reduce((sum, [,,,,,, rows]) => sum + rows, 0) * uuidLength !== ids.length) throw new Error('rows and ids are not as many')
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
      frame.eventIds.push(ids.slice(row * uuidLength, (row + 1) * uuidLength))
      frame.occurredAt.push(occurredAt)
      frame.capturedAt.push(captured)
      frame.properties.push(line.slice(brace))
    }
    return frame
  })
  return { productVersion, accountRef, deviceRef, batchId, sentAt, frames }
}

/** The ids as they are usually written, one after the other: a text that each is a slice of takes the least memory. */
function uuidsOf (ids: Buffer): string {
  const texts = Buffer.allocUnsafe(Math.floor(ids.length / idBytes) * uuidLength)
  for (let from = 0, to = 0; to < texts.length; from++) {
    const place = from % idBytes
    if (place === 4 || place === 6 || place === 8 || place === 10) texts[to++] = DASH
    texts[to++] = hexDigits[(ids[from] ?? 0) >> 4] ?? 0
    texts[to++] = hexDigits[(ids[from] ?? 0) & 15] ?? 0
  }
  return texts.toString('latin1')
}
