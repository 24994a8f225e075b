/** Runs a developer's read-only SQL. */
import { ClickHouseError, type ClickHouseClient } from '@clickhouse/client'

export type SqlAnswer = { ok: true, ndjson: string } | { ok: false, detail: string }

/** One statement on the reader's connection, answered as NDJSON. */
export async function runSql (reader: ClickHouseClient, statement: string): Promise<SqlAnswer> {
  const query = statement.trim().replace(/;+$/, '')
  if (query === '') return { ok: false, detail: 'The body is empty; send one SQL statement.' }
  // The embedded engine would run the statements of a list one by one and answer for the first.
  if (query.replace(/'(?:[^'\\]|\\.|'')*'/g, '').includes(';')) return { ok: false, detail: 'Send one SQL statement.' }
  try {
    return { ok: true, ndjson: await (await reader.query({ query, format: 'JSONEachRow' })).text() }
  } catch (error) {
    if (error instanceof ClickHouseError) return { ok: false, detail: error.message.slice(0, 500) }
    throw error
  }
}
