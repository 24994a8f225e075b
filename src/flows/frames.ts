/** Sorts the rows of one batch into frames by the purposes they depend on. */
import type { EventRow } from '../domain/event.ts'
import type { Frame, FrameCodec } from './ports.ts'

/** A row as one line of ClickHouse's JSONCompactEachRow, in the order of the columns of `events`. */
export function serialiseRow (row: EventRow): string {
  return makeRowSerialiser(row)(row)
}

/** What all rows of a batch share. */
export type BatchColumns = Pick<EventRow, 'product' | 'release' | 'productVersion' | 'accountRef' | 'deviceRef' | 'receivedAt' | 'batchId'>
/** What each row has of its own. */
export type RowColumns = Omit<EventRow, keyof BatchColumns>

/** Serialises the rows of one batch. What they share is made once: a row is then six short pieces put together. */
export function makeRowSerialiser (batch: BatchColumns): (row: RowColumns) => string {
  const middle = JSON.stringify([batch.product, batch.release, batch.productVersion, batch.accountRef, batch.deviceRef]).slice(1, -1)
  const end = JSON.stringify(batch.batchId)
  const receivedAt = String(batch.receivedAt)
  return row => `[${JSON.stringify(row.eventId)},${JSON.stringify(row.name)},${String(row.version)},${middle},` +
    `${String(row.occurredAt)},${String(row.capturedAt)},${receivedAt},"${row.purpose}","${row.reason}",` +
    `${row.consentEntry === null ? 'null' : `"${row.consentEntry}"`},${JSON.stringify(row.properties)},${end}]`
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
  add: (row: RowColumns, fieldPurposes: readonly string[]) => void
  pack: () => Frame[]
}

export function makeFrameSorter (codec: FrameCodec, batch: BatchColumns): FrameSorter {
  const serialise = makeRowSerialiser(batch)
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
      frame.lines.push(serialise(row))
    },
    pack: () => [...open.values()].map(({ lines, ...frame }) => ({ ...frame, rows: lines.length, body: codec.pack(lines) }))
  }
}
