/** Events, the counts of decisions, and rows that could not be stored. */
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { Unavailable } from '../domain/unavailable.ts'
import type { EventTable } from '../flows/ports.ts'
import { isClickHouseError } from './client.ts'
import { bindList } from './long-list.ts'
import { insertRows, readRows } from './statements.ts'

/** The columns in the order in which `frameLineOf` and `rowLinesOf` write them. */
const frameColumns = [
  'name', 'version', 'product', 'release', 'product_version', 'account_ref', 'device_ref', 'received_at',
  'purpose', 'reason', 'consent_entry', 'batch_id', 'event_ids', 'occurred_times', 'captured_times', 'property_texts'
] as const
const eventColumns = [
  'event_id', 'name', 'version', 'product', 'release', 'product_version', 'account_ref', 'device_ref',
  'occurred_at', 'captured_at', 'received_at', 'purpose', 'reason', 'consent_entry', 'properties', 'batch_id'
] as const

/**
 * Codes of ClickHouse that say the data cannot be read as what the columns hold. Every other error is taken for
 * trouble on the way, which passes: to keep a row too long is better than to lose it.
 */
const dataFaults = new Set([
  6, 25, 26, 27, 32, 33, 34, 38, 41, 53, 69, 70, 72, 117, 130, 131, 190, 321, 349, 376, 467, 676
].map(String))

/** How many ids of an insert are looked up after it: all of them are there, or none. Several, since one may have been stored before. */
const sampleMax = 8

/** `now`: epoch ms; of two counts of one request the later said stays. */
export function makeEventTable (client: ClickHouseClient, now: () => number): EventTable {
  // The number alone: ClickHouse's words quote the row.
  const dataFaultOf = (error: unknown): string | undefined => isClickHouseError(error) && dataFaults.has(error.code) ? `clickhouse_${error.code}` : undefined
  const findIn = async (table: 'events' | 'erased_events', eventIds: readonly string[]): Promise<Set<string>> => {
    if (eventIds.length === 0) return new Set()
    const list = bindList('ids', 'UUID', eventIds)
    const rows = await readRows<{ event_id: string }>(client, `SELECT DISTINCT event_id FROM ${table} WHERE event_id IN ${list.expression}`, list.parameters)
    return new Set(rows.map(row => row.event_id))
  }
  const insertLines = async (into: string, columns: readonly string[], lines: string): Promise<void> => {
    try {
      // Not `insert`, which would serialise each row once more. Given as text, as the embedded engine takes it.
      const { stream } = await client.exec({ query: `INSERT INTO ${into} (${columns.join(', ')}) FORMAT JSONCompactEachRow`, values: Readable.from([lines]) })
      stream.resume()
      await finished(stream)
    } catch (error) {
      throw dataFaultOf(error) !== undefined ? error : new Unavailable('ClickHouse', { cause: error })
    }
  }
  return {
    dataFaultOf,

    async insertFrames (lines, eventIds) {
      await insertLines('event_frames', frameColumns, lines)
      // Without the view, as while a server starts, it keeps nothing and says that all is well.
      const sample = spread(eventIds, sampleMax)
      const found = await findIn('events', sample)
      if (!sample.every(id => found.has(id))) throw new Unavailable('what was inserted')
    },

    insertRows: async lines => { await insertLines('events', eventColumns, lines) },

    async insertCounts (batches) {
      await insertRows(client, 'decision_counts', batches.map(({ requestId, receivedAt, product, release, stage, counts }) => ({
        day: new Date(receivedAt).toISOString().slice(0, 10),
        stage,
        request_id: requestId,
        said_at: now(),
        product,
        release,
        events: counts.map(({ event }) => event),
        versions: counts.map(({ version }) => version),
        purposes: counts.map(({ purpose }) => purpose),
        outcomes: counts.map(({ outcome }) => outcome),
        reasons: counts.map(({ reason }) => reason),
        counts: counts.map(({ count }) => count)
      })))
    },

    findStored: async eventIds => await findIn('events', eventIds),

    findErased: async eventIds => await findIn('erased_events', eventIds),

    async rememberErased (eventIds) {
      await insertRows(client, 'erased_events', eventIds.map(id => ({ event_id: id })))
    },

    async insertFailed (rows) {
      await insertRows(client, 'failed_events', rows.map(row => ({
        request_id: row.requestId, event_id: row.eventId, name: row.name, account_ref: row.accountRef, device_ref: row.deviceRef, reason: row.reason, row: row.row
      })))
    }
  }
}

/** Items from all over a list, the first and the last among them. */
function spread<Item> (items: readonly Item[], most: number): Item[] {
  if (items.length <= most) return [...items]
  return Array.from({ length: most }, (_, index) => items[Math.round(index * (items.length - 1) / (most - 1))] as Item)
}
