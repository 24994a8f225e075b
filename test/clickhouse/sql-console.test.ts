import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { runSql } from '../../src/clickhouse/sql-console.ts'
import { startClickHouse } from '../support/clickhouse.ts'

const { reader, rows } = await startClickHouse(t)
const run = async (statement: string) => await runSql(reader, statement)

t.test('a statement that reads is answered line by line', async t => {
  t.strictSame(await run('SELECT number AS n FROM numbers(2)'), { ok: true, ndjson: '{"n":0}\n{"n":1}\n' })
  for (const statement of [
    'SELECT 1;', ' \n SELECT 1 ;\n; ', '-- a comment; it\'s here\nSELECT 1 /* ; */', 'SELECT \';\' AS "a;b"', '(SELECT 1)', 'WITH x AS (SELECT 1 AS a) SELECT a FROM x',
    'SHOW TABLES', 'DESCRIBE TABLE events_v', 'EXISTS TABLE events', 'EXPLAIN SELECT 1', 'select count() from events_v where name in (\'file\')'
  ]) t.match(await run(statement), { ok: true, ndjson: /^\{/ }, statement)
})

t.test('what is wrong with a statement is said', async t => {
  const cases: Array<[statement: string, detail: RegExp]> = [
    ['', /is empty/], [' ; ', /is empty/], ['SELECT nope', /`nope`/], ['SELECT (1', /Syntax error/], ['SELECT 1 FORMAT CSV', /Syntax error/], ['SELECT \0', /NUL/],
    ['SELECT throwIf(1)', /throwIf/], ['nonsense', /that reads/]
  ]
  for (const [statement, detail] of cases) t.match(await run(statement), { ok: false, detail }, statement)
})

t.test('a list of statements is refused, however it is disguised', async t => {
  const write = 'INSERT INTO failed_events (event_id) VALUES (1)'
  for (const statement of [
    'SELECT 1; SELECT 2', `SELECT 1; ${write}`, `SELECT "'" FROM (SELECT 1 AS "'"); ${write}; SELECT "'"`, `SELECT $$'$$; ${write}; SELECT $$'$$`,
    `SELECT 1 -- '\n; ${write} -- '`, `SELECT 1 /* ' */; ${write} /* ' */`, `SELECT '\\''; ${write}`, `SELECT \`'\`; ${write}; SELECT \`'\``
  ]) t.strictSame(await run(statement), { ok: false, detail: 'Send one SQL statement.' }, statement)
  t.strictSame(await rows('SELECT * FROM failed_events'), [])
})

t.test('nothing is written and nothing is set', async t => {
  const before = await rows('SHOW TABLES')
  for (const statement of [
    'INSERT INTO failed_events (event_id) VALUES (1)', 'CREATE TABLE x (a UInt8) ENGINE = Memory', 'CREATE TEMPORARY TABLE x (a UInt8)', 'CREATE FUNCTION f AS x -> x', 'DROP TABLE events',
    'TRUNCATE TABLE events', 'ALTER TABLE events DELETE WHERE 1', 'OPTIMIZE TABLE events', 'RENAME TABLE events TO x', 'ATTACH TABLE x', 'DETACH TABLE events', 'SYSTEM STOP MERGES',
    'KILL QUERY WHERE 1', 'GRANT ALL ON *.* TO default', 'BACKUP TABLE events TO Disk(\'a\', \'b\')', 'USE system', 'SET readonly = 0', 'SET max_result_rows = 0',
    'SELECT 1 SETTINGS readonly = 0', 'SELECT 1 SETTINGS max_execution_time = 0', 'EXPLAIN AST DROP TABLE events; DROP TABLE events'
  ]) t.match(await run(statement), { ok: false }, statement)
  t.strictSame(await rows('SHOW TABLES'), before)
  t.match(await run('SELECT getSetting(\'readonly\') AS r, getSetting(\'max_result_rows\') AS m'), { ndjson: '{"r":1,"m":1000000}\n' })
})

t.test('files, other hosts and programs are out of reach', async t => {
  let visits = 0
  const host = createServer(socket => { visits++; socket.destroy() }).listen(0, '127.0.0.1')
  t.teardown(() => { host.close() })
  await once(host, 'listening')
  const address = `127.0.0.1:${String((host.address() as AddressInfo).port)}`
  const out = join(t.testdir({}), 'out.csv')
  for (const statement of [
    'SELECT file(\'/etc/passwd\')', 'SELECT FILE (\'/etc/passwd\')', 'SELECT file/**/(\'/etc/passwd\')', 'SELECT `file`(\'/etc/passwd\')', 'SELECT "fil\\x65"(\'/etc/passwd\')',
    'SELECT * FROM file(\'/etc/passwd\', LineAsString)', 'SELECT * FROM `/etc/passwd`', 'DESCRIBE file(\'/etc/passwd\')', `SELECT 1 INTO OUTFILE '${out}'`, `SELECT 1 into/**/outfile '${out}'`,
    `INSERT INTO FUNCTION file('${out}', CSV, 'a UInt8') VALUES (1)`, `SELECT * FROM url('http://${address}/', LineAsString)`, `SELECT * FROM s3('http://${address}/bucket/key', LineAsString)`,
    `SELECT * FROM remote('${address}', system, one)`, `SELECT * FROM mysql('${address}', 'a', 'b', 'c', 'd')`, `SELECT * FROM postgresql('${address}', 'a', 'b', 'c', 'd')`,
    'SELECT * FROM executable(\'id\', LineAsString, \'a String\')', 'SELECT * FROM sqlite(\'/tmp/x\', \'y\')', 'SELECT * FROM eval(\'SELECT file(\\\'/etc/passwd\\\')\')'
  ]) {
    const answer = await run(statement)
    t.match(answer, { ok: false }, statement)
    t.notMatch(JSON.stringify(answer), 'root:', statement)
  }
  t.equal(visits, 0)
  t.notOk(existsSync(out))
})

t.test('what the engine says of itself is out of reach', async t => {
  for (const statement of [
    'SELECT * FROM system.users', 'SELECT * FROM SYSTEM . parts', 'SELECT * FROM "system".tables', 'SELECT * FROM `system`.`tables`', 'SELECT * FROM "sys\\x74em".tables',
    'SELECT * FROM system/**/.one', 'SELECT * FROM INFORMATION_SCHEMA.tables', 'SELECT * FROM information_schema.tables', 'SHOW TABLES FROM system', 'SHOW TABLES IN "system"', 'DESCRIBE system.one',
    'EXISTS system.one', 'SELECT * FROM merge(\'system\', \'^one$\')', 'SELECT * FROM merge(REGEXP(\'system\'), \'^one$\')', 'SELECT * FROM cluster(default, system, one)', 'SELECT * FROM loop(system.one)',
    'SELECT * FROM view(SELECT * FROM system.one)', 'SELECT * FROM filesystem(\'/etc\')', 'SHOW PROCESSLIST', 'SHOW SETTINGS LIKE \'%\'', 'SHOW USERS', 'SHOW GRANTS', 'SELECT 1 WHERE 1 IN (SELECT 1 FROM system.one)'
  ]) t.match(await run(statement), { ok: false }, statement)
  t.match(await run('SELECT count() AS "system" FROM events_v AS system_events'), { ok: true })
})

t.test('a statement has limits, and what it wrote before it met them is nobody else\'s answer', async t => {
  const limited: Array<[statement: string, detail: RegExp]> = [
    ['SELECT * FROM numbers(2000000)', /max rows/],
    ['SELECT groupArray(repeat(toString(number), 1000)) FROM numbers(10000000)', /memory limit/],
    ['SELECT number, throwIf(number = 500000) FROM numbers(1000000)', /throwIf/]
  ]
  for (const [statement, detail] of limited) {
    const [refused, next] = await Promise.all([run(statement), run('SELECT 7 AS mine')])
    t.match(refused, { ok: false, detail }, statement)
    t.strictSame(next, { ok: true, ndjson: '{"mine":7}\n' })
    t.strictSame(await rows('SELECT 8 AS ours'), [{ ours: 8 }])
  }
})
