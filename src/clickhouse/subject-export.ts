/** What the event tables hold of an account, page after page. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { HeldEvents } from '../flows/export-ports.ts'
import { readRows } from './statements.ts'

const times = ['occurred_at', 'captured_at', 'received_at'] as const
const columns = `event_id, name, version, product, release, product_version, account_ref, device_ref, purpose, reason, consent_entry, properties, batch_id,
  ${times.map(name => `toUnixTimestamp64Milli(${name}) AS ${name}_ms`).join(', ')}`

/** `pageRows`: how many events are in memory at once; one may have 64 KiB. */
export function makeHeldEvents (reader: ClickHouseClient, pageRows: number): HeldEvents {
  return {
    async * stored (accountRef) {
      let after = '00000000-0000-0000-0000-000000000000'
      while (true) {
        // Their ids first: the few events of an account are found without merging the events of all.
        const ids = await readRows<{ event_id: string }>(reader,
          'SELECT DISTINCT event_id FROM events WHERE account_ref = {ref: String} AND event_id > {after: UUID} ORDER BY event_id LIMIT {limit: UInt32}',
          { ref: accountRef, after, limit: pageRows })
        const last = ids.at(-1)
        if (last === undefined) return
        const rows = await readRows<Record<string, unknown>>(reader,
          `SELECT ${columns} FROM events_v WHERE event_id IN {ids: Array(UUID)} AND account_ref = {ref: String} ORDER BY event_id`,
          { ids: ids.map(row => row.event_id), ref: accountRef })
        yield rows.map(showEvent)
        if (ids.length < pageRows) return
        after = last.event_id
      }
    },

    async * setAside (accountRef) {
      let last = { request: '00000000-0000-0000-0000-000000000000', event: '' }
      while (true) {
        const rows = await readRows<{ request_id: string, event_id: string, name: string, reason: string, row: string, failed_ms: number | string }>(reader,
          `SELECT request_id, event_id, name, reason, row, toUnixTimestamp64Milli(failed_at) AS failed_ms FROM failed_events FINAL
           WHERE account_ref = {ref: String} AND (request_id, event_id) > ({request: UUID}, {event: String}) ORDER BY request_id, event_id LIMIT {limit: UInt32}`,
          { ref: accountRef, limit: pageRows, ...last })
        if (rows.length > 0) yield rows.map(({ failed_ms: failedMs, ...row }) => ({ ...row, failed_at: showTime(failedMs) }))
        const end = rows.at(-1)
        if (end === undefined || rows.length < pageRows) return
        last = { request: end.request_id, event: end.event_id }
      }
    }
  }
}

function showEvent (row: Record<string, unknown>): Record<string, unknown> {
  const shown: Record<string, unknown> = { ...row, properties: JSON.parse(String(row['properties'])) }
  for (const name of times) {
    shown[name] = showTime(row[`${name}_ms`])
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the three names are constants
    delete shown[`${name}_ms`]
  }
  return shown
}

function showTime (ms: unknown): string {
  return new Date(Number(ms)).toISOString()
}
