/** What the tables hold of an account, page after page. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { HeldRecords } from '../flows/export-ports.ts'
import { readRows } from './statements.ts'

const times = ['occurred_at', 'captured_at', 'received_at'] as const
const columns = `event_id, name, version, product, release, product_version, account_ref, device_ref, purpose, reason, consent_entry, properties, batch_id,
  ${times.map(name => `toUnixTimestamp64Milli(${name}) AS ${name}_ms`).join(', ')}`

/** The call says in its path, in its query or in what was kept of its body whom it is about. */
const namesAccount = `(arrayMap(part -> decodeURLComponent(part), arraySlice(splitByChar('/', path), 3, 3)) IN (['privacy', 'accounts', {account: String}], ['admin', 'accounts', {account: String}])
  OR decodeURLFormComponent(extractURLParameter(concat('/?', query), 'account_id')) = {account: String}
  OR JSONExtractString(about, 'account_id') = {account: String} OR JSONExtractString(about, 'query', 'account_id') = {account: String})`

/** `pageRows`: how many events are in memory at once; one may have 64 KiB. `erasureIdOf`: the id of an account's erasure whose own part is a UUID. */
export function makeHeldRecords (reader: ClickHouseClient, pageRows: number, erasureIdOf: (accountId: string, uuid: string) => string): HeldRecords {
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
    },

    async erasures (accountId) {
      const rows = await readRows<{ erasure_id: string, device_id: string | null, purpose: string | null, requested_by: string, reason: string, certificate: string | null, requested_ms: unknown }>(reader,
        `SELECT erasure_id, device_id, purpose, requested_by, reason, certificate, toUnixTimestamp64Milli(requested_at) AS requested_ms
         FROM erasures FINAL WHERE account_id = {account: String} ORDER BY requested_ms, erasure_id`, { account: accountId })
      return rows.map(({ erasure_id: uuid, requested_ms: requestedMs, certificate, ...row }) =>
        ({ id: erasureIdOf(accountId, uuid), requested_at: showTime(requestedMs), ...row, certificate: certificate === null ? null : JSON.parse(certificate) as unknown }))
    },

    async * teamCalls (accountId) {
      let last = { at: 0, id: '00000000-0000-0000-0000-000000000000' }
      while (true) {
        const rows = await readRows<{ access_id: string, at_ms: number | string, method: string, path: string, purpose_of_use: string, status: number }>(reader,
          `SELECT access_id, method, path, purpose_of_use, status, toUnixTimestamp64Milli(at) AS at_ms FROM access_log
           WHERE (at_ms, access_id) > ({at: Int64}, {id: UUID}) AND ${namesAccount} ORDER BY at_ms, access_id LIMIT 1 BY access_id LIMIT {limit: UInt32}`,
          { account: accountId, limit: pageRows, ...last })
        if (rows.length > 0) yield rows.map(({ access_id: _, at_ms: atMs, ...row }) => ({ at: showTime(atMs), ...row }))
        const end = rows.at(-1)
        if (end === undefined || rows.length < pageRows) return
        last = { at: Number(end.at_ms), id: end.access_id }
      }
    }
  }
}

function showEvent (row: Record<string, unknown>): Record<string, unknown> {
  const inMs = new Set(times.map(name => `${name}_ms`))
  return {
    ...Object.fromEntries(Object.entries(row).filter(([name]) => !inMs.has(name))),
    properties: JSON.parse(String(row['properties'])),
    ...Object.fromEntries(times.map(name => [name, showTime(row[`${name}_ms`])]))
  }
}

function showTime (ms: unknown): string {
  return new Date(Number(ms)).toISOString()
}
