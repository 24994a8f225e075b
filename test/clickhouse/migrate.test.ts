import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import { migrate } from '../../src/clickhouse/migrate.ts'
import { migrationsDir } from '../support/clickhouse.ts'

const files = (await readdir(migrationsDir)).sort()
const { client, close } = await openEmbedded(t.testdir({}))
t.teardown(close)

/** An empty database, and a folder with the first migrations. */
async function prepare (folder: string, count: number): Promise<string> {
  await client.command({ query: 'DROP DATABASE IF EXISTS default' })
  await client.command({ query: 'CREATE DATABASE default' })
  for (const file of files.slice(0, count)) await copyFile(join(migrationsDir, file), join(folder, file))
  return folder
}
const tables = async (): Promise<string[]> => (await (await client.query({ query: 'SHOW TABLES', format: 'JSONEachRow' })).json<{ name: string }>()).map(({ name }) => name)

t.test('every migration is applied once, in order', async t => {
  await prepare(t.testdir({}), 0)
  t.strictSame(await migrate(client, migrationsDir), files)
  t.strictSame(await migrate(client, migrationsDir), [])
  t.strictSame((await tables()).filter(name => name.endsWith('_v')), ['consent_decisions_v', 'consent_ledger_v', 'events_v', 'security_events_v'])
})

t.test('a run that was killed is taken up where it ended, also between a statement and its record', async t => {
  const folder = await prepare(t.testdir({}), 3)
  await migrate(client, folder)
  await client.command({ query: await readFile(join(migrationsDir, files[3]!), 'utf8') })
  t.strictSame(await migrate(client, migrationsDir), files.slice(3))
})

t.test('a migration that fails stops the run; once it is mended the run goes on', async t => {
  const folder = await prepare(t.testdir({}), 2)
  await writeFile(join(folder, '0003_broken.sql'), 'CREATE TABLE broken (a Nonsense) ENGINE = MergeTree ORDER BY a')
  await writeFile(join(folder, '0004_after.sql'), 'CREATE TABLE after (a UInt8) ENGINE = MergeTree ORDER BY a')
  await t.rejects(migrate(client, folder))
  t.notOk((await tables()).includes('after'))
  await writeFile(join(folder, '0003_broken.sql'), 'CREATE TABLE broken (a UInt8) ENGINE = MergeTree ORDER BY a')
  t.strictSame(await migrate(client, folder), ['0003_broken.sql', '0004_after.sql'])
})

t.test('an applied file that has changed is refused by name, and nothing after it is applied', async t => {
  const folder = await prepare(t.testdir({}), 2)
  await migrate(client, folder)
  await writeFile(join(folder, files[1]!), `${await readFile(join(folder, files[1]!), 'utf8')}\n-- a later thought`)
  await copyFile(join(migrationsDir, files[2]!), join(folder, files[2]!))
  await t.rejects(migrate(client, folder), { message: `migration ${files[1]!} was applied in another form; write a new migration instead` })
  t.notOk((await tables()).includes('consent_ledger'))
})

t.test('each migration is one statement with a comment that says why', async t => {
  for (const file of files) {
    t.match(file, /^[0-9]{4}_[a-z0-9_]+\.sql$/)
    const content = await readFile(join(migrationsDir, file), 'utf8')
    t.match(content, /^-- [A-Z]/, file)
    t.notMatch(content.replace(/^--.*$/gm, ''), ';', file)
  }
})
