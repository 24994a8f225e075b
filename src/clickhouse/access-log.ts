/** What the privacy team asked, and why: written at least once, stored once per call. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { Access } from '../flows/ports.ts'
import { insertRows } from './statements.ts'

export interface AccessLogTable {
  insert: (calls: readonly Access[]) => Promise<void>
}

export function makeAccessLogTable (client: ClickHouseClient): AccessLogTable {
  return {
    insert: async calls => {
      await insertRows(client, 'access_log', calls.map(({ accessId, at, subject, method, path, query, about = '', purposeOfUse, status }) =>
        ({ access_id: accessId, at, subject, method, path, query, about, purpose_of_use: purposeOfUse, status })))
    }
  }
}
