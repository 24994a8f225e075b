import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { checkCluster, forCluster, onReplicas } from '../../src/clickhouse/cluster.ts'
import { heldTables } from '../../src/clickhouse/erased-rows.ts'
import { migrationsDir, startClickHouse } from '../support/clickhouse.ts'

const { client, rows } = await startClickHouse(t)
const files = (await readdir(migrationsDir)).sort()
const statements = await Promise.all(files.map(async file => await readFile(join(migrationsDir, file), 'utf8')))

/** A statement as the engine understood it, on one line. */
async function format (statement: string): Promise<string> {
  const answer = await client.query({ query: 'SELECT formatQuerySingleLine({statement: String}) AS text', query_params: { statement }, format: 'JSONEachRow' })
  return (await answer.json<{ text: string }>())[0]!.text
}

t.test('each migration means the same on a cluster, on all its hosts and replicated', async t => {
  for (const [index, statement] of statements.entries()) {
    const [alone, together] = [await format(statement), await format(forCluster(statement, 'assent_cluster'))]
    const back = together.replace(' ON CLUSTER assent_cluster', '').replace('ENGINE = Replicated', 'ENGINE = ')
    t.equal(back, alone, files[index]!)
    if (!/^INSERT/.test(alone)) t.match(together, /^(?:CREATE|ALTER|DROP) .* ON CLUSTER assent_cluster/, files[index]!)
    if (/^CREATE TABLE/.test(alone)) t.match(together, /ENGINE = (?:Replicated(?:Replacing)?MergeTree|`?Null`?$)/, files[index]!)
  }
})

t.test('a migration of a kind that was not thought of is refused, rather than run on one host', async t => {
  for (const statement of ['RENAME TABLE a TO b', '-- Why.\nCREATE MATERIALIZED VIEW a ENGINE = MergeTree ORDER BY b AS SELECT 1 AS b', 'TRUNCATE TABLE a', 'CREATE TABLE a (b UInt8) ENGINE = MergeTree ORDER BY b']) {
    t.throws(() => forCluster(statement, 'assent_cluster'), { message: /not known to work on a cluster/ }, statement)
  }
})

t.test('the engine knows every setting that exactness rests on', async t => {
  const known = new Set((await rows<{ name: string }>('SELECT name FROM system.settings')).map(({ name }) => name))
  for (const name of [...Object.keys(onReplicas.write), ...Object.keys(onReplicas.read)]) t.ok(known.has(name), name)
})

t.test('a cluster that the server does not know stops the start', async t => {
  await t.rejects(checkCluster(client, 'nowhere'), { message: 'CLICKHOUSE_CLUSTER nowhere is not known to the server' })
})

t.test('the statements that make the users are ones that the engine understands', async t => {
  const text = (await readFile(join(import.meta.dirname, '..', '..', 'docs', 'clickhouse-users.sql'), 'utf8')).replace(/^--.*$/gm, '')
  const formatted = await Promise.all(text.split(';').map(part => part.trim()).filter(part => part !== '').map(format))
  t.same(formatted.filter(line => line.includes('assent_reader') && line.startsWith('GRANT')), ['GRANT SELECT ON assent.* TO assent_reader'])
  t.same(formatted.filter(line => line.includes('ALTER DELETE')), heldTables.map(({ table }) => `GRANT ALTER DELETE ON assent.${table} TO assent_writer`))
  t.notMatch(formatted.join('\n'), /GRANT (?:.*, )?(?:ALL|ALTER|ALTER UPDATE|TRUNCATE|DROP DATABASE)[ ,]+ON/)
})
