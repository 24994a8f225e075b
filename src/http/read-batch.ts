/** Reads the body of a batch: what is wrong with it as a whole is thrown, what is wrong with one event stays with that event. */
import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import type { Catalog } from '../domain/catalog.ts'
import type { BatchElement, EventBatch, RejectReason } from '../domain/event.ts'
import { decodeText, parseText, type BodyLimits } from './body.ts'
import { readShape } from './faults.ts'
import { scanJson, type ScanFinding } from './json-scan.ts'
import { readPlainEvents, type EventLimits } from './plain-events.ts'
import { Problem } from './problem.ts'
import { deviceIdPattern, deviceIdShape, instantShape, productShape, uuidShape } from './shapes.ts'

export type BatchLimits = BodyLimits & EventLimits

export const eventShape = z.strictObject({
  id: uuidShape,
  name: z.string().min(1).max(128),
  version: z.int().min(1).max(65_535),
  occurred_at: instantShape,
  properties: z.looseObject({})
})

export const envelopeShape = z.strictObject({
  batch_id: uuidShape,
  sent_at: instantShape,
  device_id: deviceIdShape.optional(),
  product: productShape,
  events: z.array(z.unknown()).min(1)
})

const faultReasons: Readonly<Record<ScanFinding['reason'], RejectReason>> = {
  'duplicate-key': 'duplicate_key',
  'invalid-string': 'invalid_string',
  'invalid-number': 'invalid_number',
  'too-deep': 'invalid_event',
  'forbidden-key': 'invalid_event'
}

const eventsKey = '"events":['

export interface ReadBatch { batch: EventBatch, deviceId: string | undefined }

/** The device that a batch seems to name near its beginning. Only reading it tells whether it does. */
export function findDeviceId (bytes: Buffer): string | undefined {
  const [, id = ''] = /"device_id"\s*:\s*"([^"\\]+)"/.exec(bytes.toString('latin1', 0, 512)) ?? []
  return deviceIdPattern.test(id) ? id : undefined
}

/** `bytes` that are no batch are thrown as what is wrong with them. */
export function readBatch (catalog: Catalog, bytes: Buffer, limits: BatchLimits): ReadBatch {
  return readPlainBatch(catalog, bytes, limits) ?? readAnyBatch(catalog, bytes, limits)
}

/** A batch whose events are all written as most are; undefined for any other, and for most that are wrong in some way. */
function readPlainBatch (catalog: Catalog, bytes: Buffer, limits: BatchLimits): ReadBatch | undefined {
  if (!isUtf8(bytes)) return undefined
  const text = bytes.toString('latin1')
  const from = text.indexOf(eventsKey) + eventsKey.length
  const read = from < eventsKey.length ? undefined : readPlainEvents(catalog, bytes, text, from, limits)
  if (read === undefined) return undefined
  // With a null in place of its events it is read like every other body.
  const rest = `${bytes.toString('utf8', 0, from)}null${bytes.toString('utf8', read.end)}`
  const { fatal } = scanJson(rest)
  const envelope = fatal === undefined ? envelopeShape.safeParse(parseText(rest)) : undefined
  return envelope?.success === true && envelope.data.events.length === 1 && envelope.data.events[0] === null ? batchOf(envelope.data, read.elements) : undefined
}

function readAnyBatch (catalog: Catalog, bytes: Buffer, limits: BatchLimits): ReadBatch {
  const text = decodeText(bytes)
  const { fatal, events: faults } = scanJson(text)
  if (fatal !== undefined) throw new Problem('invalid-json', { errors: [{ pointer: fatal.pointer, detail: fatal.reason }] })
  const value = parseText(text) as { events?: unknown[] } | null | undefined
  if (Array.isArray(value?.events) && value.events.length > limits.eventsPerBatchMax) throw new Problem('batch-too-large')
  const envelope = readShape(envelopeShape, value)
  if (!envelope.success) throw new Problem('invalid-batch', { errors: envelope.faults })
  return batchOf(envelope.data, envelope.data.events.map((event, index) => readElement(catalog, event, faults?.get(index), limits)))
}

function batchOf ({ batch_id: batchId, sent_at: sentAt, device_id: deviceId, product }: z.infer<typeof envelopeShape>, elements: BatchElement[]): ReadBatch {
  return { batch: { batchId, sentAt, product: { name: product.name, release: product.release, version: product.version }, elements }, deviceId }
}

function readElement (catalog: Catalog, value: unknown, finding: ScanFinding | undefined, limits: BatchLimits): BatchElement {
  if (finding !== undefined) return reject(value, faultReasons[finding.reason], finding.pointer)
  const written = Buffer.from(JSON.stringify(value))
  // Written anew, most events are usual ones.
  const plain = readPlainEvents(catalog, written, written.toString('latin1'), 0, limits)
  const [element] = plain?.end === written.length ? plain.elements : []
  if (element !== undefined) return element
  const event = readShape(eventShape, value)
  if (!event.success) {
    const [fault] = event.faults
    return reject(value, 'invalid_event', `${fault?.pointer ?? ''} ${fault?.detail ?? ''}`.trim())
  }
  const { id, name, version, occurred_at: occurredAt, properties } = event.data
  if (written.length > limits.eventBytesMax) return reject(value, 'event_too_large')
  return { event: { id, name, version, occurredAt, properties } }
}

function reject (value: unknown, reason: RejectReason, detail?: string): BatchElement {
  const id = uuidShape.safeParse((value as { id?: unknown } | null)?.id)
  return { id: id.success ? id.data : null, fault: { outcome: 'rejected', reason, ...(detail === undefined ? {} : { detail }) } }
}
