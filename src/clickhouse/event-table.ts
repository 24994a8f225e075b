/** Events, the counts of decisions, and rows that could not be stored. */
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { Unavailable } from '../domain/unavailable.ts'
import type { EventTable } from '../flows/ports.ts'
import { isClickHouseError } from './client.ts'

/** The columns in the order in which `serialiseRow` writes them. */
const eventColumns = [
  'event_id', 'name', 'version', 'product', 'release', 'product_version', 'account_ref', 'device_ref',
  'occurred_at', 'captured_at', 'received_at', 'purpose', 'reason', 'consent_entry', 'properties', 'batch_id'
] as const

const insertEvents = `INSERT INTO events (${eventColumns.join(', ')}) FORMAT JSONCompactEachRow`

/**
 * Codes of ClickHouse that say the data cannot be read as what the columns hold. Every other error is taken for
 * trouble on the way, which passes: to keep a row too long is better than to lose it.
 */
const dataFaults = new Set([
  6, 25, 26, 27, 32, 33, 34, 38, 41, 53, 69, 70, 72, 117, 131, 190, 321, 349, 376, 467, 676
].map(String))

export function makeEventTable (client: ClickHouseClient): EventTable {
  // The number alone: ClickHouse's words quote the row.
  const dataFaultOf = (error: unknown): string | undefined => isClickHouseError(error) && dataFaults.has(error.code) ? `clickhouse_${error.code}` : undefined
  return {
    dataFaultOf,

    async insert (lines) {
      try {
        // Not `insert`, which would serialise each row once more.
        const { stream } = await client.exec({ query: insertEvents, values: Readable.from([lines], { objectMode: false }) })
        stream.resume()
        await finished(stream)
      } catch (error) {
        throw dataFaultOf(error) !== undefined ? error : new Unavailable('ClickHouse', { cause: error })
      }
    },

    async insertCounts (batches) {
      const values = batches.flatMap(({ requestId, receivedAt, product, release, stage, counts }) =>
        counts.map(({ event, version, purpose, outcome, reason, count }) => ({
          day: new Date(receivedAt).toISOString().slice(0, 10), product, release, event, version, purpose, outcome, reason, stage, request_id: requestId, count
        })))
      await insertRows('consent_decisions', values)
    },

    async insertFailed (rows) {
      await insertRows('failed_events', rows.map(row => ({
        request_id: row.requestId, event_id: row.eventId, name: row.name, account_ref: row.accountRef, device_ref: row.deviceRef, reason: row.reason, row: row.row
      })))
    }
  }

  async function insertRows (table: string, values: ReadonlyArray<Record<string, unknown>>): Promise<void> {
    if (values.length === 0) return
    try {
      await client.insert({ table, values, format: 'JSONEachRow' })
    } catch (cause) {
      throw new Unavailable('ClickHouse', { cause })
    }
  }
}
