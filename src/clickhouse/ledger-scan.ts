/** Reads all of the ledger, a page at a time, without holding up what else this process does. */
import { setImmediate as breathe } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import type { PlacedHash } from '../domain/checkpoint.ts'
import { subjectKey } from '../domain/ledger.ts'
import type { FiledEntry } from '../domain/ledger-check.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { LedgerScan } from '../flows/ledger-ports.ts'
import { entryColumns, entryOf, isReadable, type EntryRow } from './ledger-rows.ts'
import { readRows } from './statements.ts'

interface FiledRow extends EntryRow { subject: string, previous: string, partition: number, sequence: number | string }
type Parameters = Record<string, unknown>
/** Rows that are parsed one by one. */
type Page<Row> = Array<{ json: () => Row }>
interface PlacedRow { sequence: number | string, entry_id: string, hash: string }

const partitions = 16
const rowsPerPage = 50_000
const rowsPerChunk = 1000
const nil = '00000000-0000-0000-0000-000000000000'

// The tables themselves, not their views: what was written over an entry and is not merged yet is to be seen too.
// With ties, so that no page ends between two rows of one place.
const filed = `SELECT ${entryColumns}, subject, previous, partition, sequence FROM consent_ledger`
const order = `ORDER BY subject, revision, entry_id LIMIT ${String(rowsPerPage)} WITH TIES`
const after = 'subject >= {subject: String} AND (subject > {subject: String} OR revision > {revision: UInt64} OR (revision = {revision: UInt64} AND entry_id > {id: UUID}))'
const pageOfAll = `${filed} WHERE ${after} ${order}`
const pageOfOne = `${filed} WHERE subject = {only: String} AND ${after} ${order}`
const pageByPlace = `SELECT sequence, entry_id, hash FROM consent_ledger
  WHERE partition = {partition: UInt8} AND sequence > {from: UInt64} AND sequence <= {to: UInt64} ORDER BY sequence LIMIT ${String(rowsPerPage)} WITH TIES`

// Misfiled entries are left out: the partition is the one that the service gives to a subject.
const wellFiled = `partition = CRC32(subject) % ${String(partitions)}`
const furthest = `SELECT partition, max(sequence) AS furthest FROM consent_ledger WHERE ${wellFiled} GROUP BY partition`

// Up to each place at least half of the places must be taken, but for a thousand: one beyond was not given by counting.
const reached = `SELECT max(sequence) AS furthest FROM (
    SELECT sequence, row_number() OVER (ORDER BY sequence) AS taken FROM (
      SELECT DISTINCT sequence FROM consent_ledger WHERE partition = {partition: UInt8} AND ${wellFiled} AND sequence > {count: UInt64}))
  WHERE sequence <= {count: UInt64} + 2 * taken + 1000`

/** `reader`: a connection that only reads. */
export function makeLedgerScan (reader: ClickHouseClient): LedgerScan {
  return {
    async * bySubject (subject) {
      const only = subject === undefined ? {} : { only: subjectKey(subject) }
      const query = subject === undefined ? pageOfAll : pageOfOne
      const start = { subject: '', revision: 0, id: nil }
      const after = ({ subject, revision, entry_id: id }: FiledRow): Parameters => ({ ...only, subject, revision, id })
      for await (const rows of read<FiledRow>(reader, query, { ...only, ...start }, after)) yield rows.map(filedOf)
    },

    async * byPlace (partition, from, to) {
      const after = ({ sequence }: PlacedRow): Parameters => ({ partition, from: sequence, to })
      for await (const rows of read<PlacedRow>(reader, pageByPlace, { partition, from, to }, after)) yield rows.map(placedOf)
    },

    async holds (subject, revision, hash) {
      const rows = await readRows(reader, 'SELECT 1 FROM consent_ledger WHERE subject = {subject: String} AND revision = {revision: UInt64} AND hash = {hash: String} LIMIT 1',
        { subject: subjectKey(subject), revision, hash })
      return rows.length > 0
    },

    async furthest () {
      const rows = await readRows<{ partition: number, furthest: number | string }>(reader, furthest)
      return Array.from({ length: partitions }, (_, partition) => Number(rows.find(row => row.partition === partition)?.furthest ?? 0))
    },

    async reached (counts) {
      const ends: number[] = []
      for (const [partition, count] of counts.entries()) { // One after the other: each sorts its places.
        const [row] = await readRows<{ furthest: number | string }>(reader, reached, { partition, count })
        ends.push(Math.max(count, Number(row?.furthest ?? 0)))
      }
      return ends
    }
  }
}

/**
 * The rows of all pages, a chunk at a time. The next page is fetched while this one is used, and between two chunks
 * whatever else waits has its turn. `after`: the parameters of the page that follows a row.
 */
async function * read<Row> (reader: ClickHouseClient, query: string, start: Parameters, after: (last: Row) => Parameters): AsyncIterable<Row[]> {
  const fetch = async (parameters: Parameters): Promise<Page<Row>> => {
    try {
      const answer = await reader.query({ query, query_params: parameters, format: 'JSONEachRow' })
      const found = []
      for await (const rows of answer.stream<Row>()) for (const row of rows) found.push(row)
      return found
    } catch (cause) {
      throw new Unavailable('ClickHouse', { cause })
    }
  }
  for (let next: Promise<Page<Row>> | undefined = fetch(start); next !== undefined;) {
    const page: Page<Row> = await next
    const last = page.length < rowsPerPage ? undefined : page.at(-1)?.json()
    next = last === undefined ? undefined : fetch(after(last))
    next?.catch(() => {}) // Whoever reads on is told of it; whoever stops does not care.
    for (let at = 0; at < page.length; at += rowsPerChunk) {
      yield page.slice(at, at + rowsPerChunk).map(row => row.json())
      await breathe()
    }
  }
}

function placedOf ({ sequence, entry_id: entryId, hash }: PlacedRow): PlacedHash {
  return { sequence: Number(sequence), entryId, hash }
}

function filedOf (row: FiledRow): FiledEntry {
  return { entry: entryOf(row), isReadable: isReadable(row), subject: row.subject, previous: row.previous, partition: row.partition, sequence: Number(row.sequence) }
}
