/** Brings the tables up to date: every file of `migrations/` once, in order. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClickHouseClient } from '@clickhouse/client'
import { forCluster } from './cluster.ts'

const name = /^[0-9]{4}_[a-z0-9_]+\.sql$/

const recordTable = `CREATE TABLE IF NOT EXISTS schema_migrations (name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
  ENGINE = MergeTree ORDER BY name SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`

/**
 * Applies what has not been applied and returns its names, on the hosts of a cluster where one is given. Every statement
 * can be run twice, so a start that was killed in between is taken up by the next. With nothing to apply it only reads.
 * @throws when an applied file has changed since
 */
export async function migrate (client: ClickHouseClient, directory: string, cluster?: string): Promise<string[]> {
  const run = async (statement: string): Promise<void> => { await client.command({ query: cluster === undefined ? statement : forCluster(statement, cluster) }) }
  const [exists] = await (await client.query({ query: 'EXISTS TABLE schema_migrations', format: 'JSONEachRow' })).json<{ result: number }>()
  if (exists?.result !== 1) await run(recordTable)
  const rows = await (await client.query({ query: 'SELECT name, sha256 FROM schema_migrations', format: 'JSONEachRow' })).json<{ name: string, sha256: string }>()
  const applied = new Map(rows.map(row => [row.name, row.sha256]))
  const done: string[] = []
  for (const file of (await readdir(directory)).filter(file => name.test(file)).sort()) {
    const statement = await readFile(join(directory, file), 'utf8')
    const sha256 = createHash('sha256').update(statement).digest('hex')
    const before = applied.get(file)
    if (before === sha256) continue
    if (before !== undefined) throw new Error(`migration ${file} was applied in another form; write a new migration instead`)
    await run(statement)
    await client.insert({ table: 'schema_migrations', values: [{ name: file, sha256 }], format: 'JSONEachRow', columns: ['name', 'sha256'] })
    done.push(file)
  }
  return done
}
