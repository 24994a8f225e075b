/** The embedded engine for a test that needs no service: a directory of its own, with the tables. */
import { join } from 'node:path'
import type { Test } from 'tap'
import { openEmbedded, type ClickHouse } from '../../src/clickhouse/client.ts'
import { migrate } from '../../src/clickhouse/migrate.ts'

export const migrationsDir = join(import.meta.dirname, '../../migrations')

export async function startClickHouse (t: Test): Promise<ClickHouse & { rows: <Row>(query: string) => Promise<Row[]> }> {
  const clickhouse = await openEmbedded(t.testdir({}))
  t.teardown(clickhouse.close)
  await migrate(clickhouse.client, migrationsDir)
  return { ...clickhouse, rows: async query => await (await clickhouse.client.query({ query, format: 'JSONEachRow' })).json() }
}
