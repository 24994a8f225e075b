/** Sorts the rows of one batch into frames by the purposes they depend on. */
import type { EventRow } from '../domain/event.ts'
import type { Frame } from './ports.ts'

/** A row as one line of ClickHouse's JSONCompactEachRow, in the order of the columns of `events`. */
export function serialiseRow (row: EventRow): string {
  return makeSerialiser(row, row)(row)
}

/** What all rows of a batch share. */
export type BatchColumns = Pick<EventRow, 'product' | 'release' | 'productVersion' | 'accountRef' | 'deviceRef' | 'receivedAt' | 'batchId'>
/** What rows of one kind share as well. */
type KindColumns = Pick<EventRow, 'name' | 'version' | 'purpose' | 'reason' | 'consentEntry'>
/** What each row of a batch has of its own. */
export type RowColumns = Omit<EventRow, keyof BatchColumns>

/** Serialises the rows of one kind in one batch. What they share is made once: a row is then a few short pieces put together. */
function makeSerialiser (batch: BatchColumns, kind: KindColumns): (row: RowColumns) => string {
  const shared = JSON.stringify([
    kind.name, kind.version, batch.product, batch.release, batch.productVersion, batch.accountRef, batch.deviceRef
  ]).slice(1, -1)
  const afterTimes = JSON.stringify([batch.receivedAt, kind.purpose, kind.reason, kind.consentEntry]).slice(1, -1)
  const end = `${JSON.stringify(batch.batchId)}]`
  // An id holds nothing that JSON would escape.
  return ({ eventId, occurredAt, capturedAt, properties }) =>
    `["${eventId}",${shared},${String(occurredAt)},${String(capturedAt)},${afterTimes},${JSON.stringify(properties)},${end}`
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

/** Rows that differ in their ids, times and properties only: together they pack best. */
interface Group extends KindColumns { fieldPurposes: readonly string[], serialise: (row: RowColumns) => string, lines: string[], firstCapturedAt: number }

export function makeFrameSorter (batch: BatchColumns): FrameSorter {
  const groups: Group[] = []
  return {
    add (row, fieldPurposes) {
      let group = groups.find(({ name, version, reason, consentEntry, fieldPurposes: others }) => name === row.name && version === row.version &&
        reason === row.reason && consentEntry === row.consentEntry && others.length === fieldPurposes.length && others.every((purpose, index) => purpose === fieldPurposes[index]))
      if (group === undefined) {
        const { name, version, purpose, reason, consentEntry } = row
        group = { name, version, purpose, reason, consentEntry, fieldPurposes, serialise: makeSerialiser(batch, row), lines: [], firstCapturedAt: row.capturedAt }
        groups.push(group)
      }
      group.firstCapturedAt = Math.min(group.firstCapturedAt, row.capturedAt)
      group.lines.push(group.serialise(row))
    },
    finish () {
      const texts: string[] = []
      const byPurposes = Map.groupBy(groups, ({ purpose, fieldPurposes }) => [purpose, ...fieldPurposes].join(' '))
      const frames = [...byPurposes].map(([purposes, grouped]): Frame => {
        const [purpose = '', ...fieldPurposes] = purposes.split(' ')
        const text = grouped.map(({ lines }) => `${lines.join('\n')}\n`).join('')
        texts.push(text)
        return {
          purpose,
          fieldPurposes,
          firstCapturedAt: Math.min(...grouped.map(group => group.firstCapturedAt)),
          rows: grouped.reduce((sum, { lines }) => sum + lines.length, 0),
          length: text.length
        }
      })
      return { frames, lines: texts.join('') }
    }
  }
}
