/** Sorts the rows of one batch into frames by the purposes they depend on. */
import type { EventRow } from '../domain/event.ts'
import type { Frame } from './ports.ts'

/** A row as one line of ClickHouse's JSONCompactEachRow, in the order of the columns of `events`. */
export function serialiseRow (row: EventRow): string {
  return makeRowSerialiser(row)(row)
}

/** What all rows of a batch share. */
export type BatchColumns = Pick<EventRow, 'product' | 'release' | 'productVersion' | 'accountRef' | 'deviceRef' | 'receivedAt' | 'batchId'>
/** What each row has of its own. */
export type RowColumns = Omit<EventRow, keyof BatchColumns>

/** Serialises the rows of one batch. What they share is made once: a row is then six short pieces put together. */
function makeRowSerialiser (batch: BatchColumns): (row: RowColumns) => string {
  const middle = JSON.stringify([batch.product, batch.release, batch.productVersion, batch.accountRef, batch.deviceRef]).slice(1, -1)
  const end = JSON.stringify(batch.batchId)
  const receivedAt = String(batch.receivedAt)
  // Ids, names and reasons hold nothing that JSON would escape; a version or properties may.
  return row => `["${row.eventId}","${row.name}",${String(row.version)},${middle},` +
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
  /** The frames, and the lines of all of them one after the other; each line ends in a line feed. */
  finish: () => { frames: Frame[], lines: string }
}

export function makeFrameSorter (batch: BatchColumns): FrameSorter {
  const serialise = makeRowSerialiser(batch)
  const open = new Map<string, Omit<Frame, 'length' | 'rows'> & { lines: string[] }>()
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
    finish () {
      const texts: string[] = []
      const frames = [...open.values()].map(({ lines, ...frame }) => {
        const text = `${lines.join('\n')}\n`
        texts.push(text)
        return { ...frame, rows: lines.length, length: text.length }
      })
      return { frames, lines: texts.join('') }
    }
  }
}
