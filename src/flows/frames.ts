/** The accepted rows of one batch, by kind: as intake gathers them, and as the table takes them. */
import type { EventDefinition } from '../domain/catalog.ts'
import type { AcceptReason } from '../domain/consent.ts'
import type { EventRow, SentEvent } from '../domain/event.ts'
import type { BatchRows, Frame, QueuedBatch } from './ports.ts'

export interface FrameSorter {
  /** `properties`: as JSON text. `capturedAt`: epoch ms. */
  add: (event: SentEvent, capturedAt: number, properties: string, kind: Kind) => void
  frames: () => Frame[]
}

/** What rows of one frame share. Why an event was accepted depends in one batch on its definition only. */
interface Kind {
  definition: EventDefinition
  reason: AcceptReason
  entry: string | null
  fieldPurposes: readonly string[]
}

export function makeFrameSorter (): FrameSorter {
  const byDefinition = new Map<EventDefinition, Frame[]>()
  const frameOf = ({ definition, reason, entry, fieldPurposes }: Kind, capturedAt: number): Frame => {
    let frames = byDefinition.get(definition)
    if (frames === undefined) byDefinition.set(definition, frames = [])
    let frame = frames.find(({ fieldPurposes: others }) => others.length === fieldPurposes.length && others.every((purpose, index) => purpose === fieldPurposes[index]))
    if (frame === undefined) {
      const { name, version, purpose } = definition
      frame = {
        name, version, purpose: purpose.id, reason, consentEntry: entry, fieldPurposes,
        firstCapturedAt: capturedAt, eventIds: [], occurredAt: [], capturedAt: [], properties: []
      }
      frames.push(frame)
    }
    return frame
  }
  return {
    add ({ id, occurredAt }, capturedAt, properties, kind) {
      const frame = frameOf(kind, capturedAt)
      frame.eventIds.push(id)
      frame.occurredAt.push(occurredAt)
      frame.capturedAt.push(capturedAt)
      frame.properties.push(properties)
      if (capturedAt < frame.firstCapturedAt) frame.firstCapturedAt = capturedAt
    },
    frames: () => [...byDefinition.values()].flat()
  }
}

/** The frame with those of its rows whose place `keeps` says yes to; their properties as `propertiesOf` has them. */
export function keepRows (frame: Frame, keeps: (index: number) => boolean, propertiesOf = (index: number) => frame.properties[index] ?? ''): Frame {
  const kept = frame.eventIds.flatMap((_id, index) => keeps(index) ? [index] : [])
  const pick = <Value>(column: readonly Value[]): Value[] => kept.map(index => column[index] as Value)
  return { ...frame, eventIds: pick(frame.eventIds), occurredAt: pick(frame.occurredAt), capturedAt: pick(frame.capturedAt), properties: kept.map(propertiesOf) }
}

export function rowsOf (batch: QueuedBatch, rows: BatchRows, frame: Frame): EventRow[] {
  const { product, release, receivedAt } = batch
  const { productVersion, accountRef, deviceRef, batchId } = rows
  const { name, version, purpose, reason, consentEntry } = frame
  return frame.eventIds.map((eventId, index) => ({
    eventId, name, version, product, release, productVersion, accountRef, deviceRef,
    occurredAt: frame.occurredAt[index] ?? NaN, capturedAt: frame.capturedAt[index] ?? NaN, receivedAt,
    purpose, reason, consentEntry, properties: frame.properties[index] ?? '', batchId
  }))
}

/** A frame as one line of ClickHouse's JSONCompactEachRow, in the order of the columns of `event_frames`, ended by a line feed. */
export function frameLineOf (batch: QueuedBatch, rows: BatchRows, frame: Frame): string {
  return `${JSON.stringify([
    frame.name, frame.version, batch.product, batch.release, rows.productVersion, rows.accountRef, rows.deviceRef, batch.receivedAt,
    frame.purpose, frame.reason, frame.consentEntry, rows.batchId, frame.eventIds, frame.occurredAt, frame.capturedAt, frame.properties
  ])}\n`
}

/** The rows of a frame, each as one such line in the order of the columns of `events`. */
export function rowLinesOf (batch: QueuedBatch, rows: BatchRows, frame: Frame): string[] {
  return rowsOf(batch, rows, frame).map(row => `${JSON.stringify([
    row.eventId, row.name, row.version, row.product, row.release, row.productVersion, row.accountRef, row.deviceRef,
    row.occurredAt, row.capturedAt, row.receivedAt, row.purpose, row.reason, row.consentEntry, row.properties, row.batchId
  ])}\n`)
}
