/** Sorts the rows of one batch into frames by the purposes they depend on. */
import type { EventRow } from '../domain/event.ts'
import type { Frame, FrameCodec } from './ports.ts'

/** A row as one line of ClickHouse's JSONCompactEachRow, in the order of the columns of `events`. */
export function serialiseRow (row: EventRow): string {
  return JSON.stringify([
    row.eventId, row.name, row.version, row.product, row.release, row.productVersion, row.accountRef, row.deviceRef,
    row.occurredAt, row.capturedAt, row.receivedAt, row.purpose, row.reason, row.consentEntry, row.properties, row.batchId
  ])
}

export function parseRow (line: string): EventRow {
  const [
    eventId, name, version, product, release, productVersion, accountRef, deviceRef,
    occurredAt, capturedAt, receivedAt, purpose, reason, consentEntry, properties, batchId
  ] = JSON.parse(line) as [
    string, string, number, string, number, string, string, string,
    number, number, number, string, string, string | null, string, string
  ]
  return {
    eventId, name, version, product, release, productVersion, accountRef, deviceRef,
    occurredAt, capturedAt, receivedAt, purpose, reason, consentEntry, properties, batchId
  }
}

export interface FrameSorter {
  add: (row: EventRow, fieldPurposes: readonly string[]) => void
  pack: () => Frame[]
}

export function makeFrameSorter (codec: FrameCodec): FrameSorter {
  const open = new Map<string, { purpose: string, fieldPurposes: readonly string[], firstCapturedAt: number, lines: string[] }>()
  return {
    add (row, fieldPurposes) {
      const key = fieldPurposes.length === 0 ? row.purpose : [row.purpose, ...fieldPurposes].join(' ')
      let frame = open.get(key)
      if (frame === undefined) {
        frame = { purpose: row.purpose, fieldPurposes, firstCapturedAt: row.capturedAt, lines: [] }
        open.set(key, frame)
      }
      frame.firstCapturedAt = Math.min(frame.firstCapturedAt, row.capturedAt)
      frame.lines.push(serialiseRow(row))
    },
    pack: () => [...open.values()].map(({ lines, ...frame }) => ({ ...frame, rows: lines.length, body: codec.pack(lines) }))
  }
}
