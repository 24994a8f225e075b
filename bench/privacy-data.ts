/** Fills the tables of a data directory with accounts, their choices and their events, made inside ClickHouse. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openEmbedded } from '../src/clickhouse/client.ts'
import { migrate } from '../src/clickhouse/migrate.ts'
import { entriesPerAccount, eventsPerAccount, overDays } from './privacy-scale.ts'

/** After so many accounts `before`, up to account `last`. `start`: epoch ms of the first entries. */
const [directory = '', before = '', last = '', start = ''] = process.argv.slice(2)
const accounts = Number(last) - Number(before)
const dayMs = 86_400_000
const rowsPerSlice = 1_000_000
/** Of a batch of events, beside those that were kept. */
const [keptPerRequest, droppedPerRequest] = [100, 20]

/** What each revision of an account changes, in its order: a place, and the how many-th change of that place it is. */
const changes = [
  { scope: 'account', purpose: 'product_analytics', nth: 1 },
  { scope: 'account', purpose: 'diagnostics', nth: 1 },
  { scope: 'account', purpose: 'content_insights', nth: 1 },
  { scope: 'account', purpose: 'personalization', nth: 1 },
  { scope: 'device', purpose: 'product_analytics', nth: 1 },
  { scope: 'account', purpose: 'product_analytics', nth: 2 },
  { scope: 'account', purpose: 'diagnostics', nth: 2 },
  { scope: 'device', purpose: 'product_analytics', nth: 2 },
  { scope: 'account', purpose: 'content_insights', nth: 2 },
  { scope: 'account', purpose: 'product_analytics', nth: 3 }
] as const

const { client, close } = await openEmbedded(directory)
await migrate(client, new URL('../migrations', import.meta.url).pathname)
const ask = async <Row> (query: string): Promise<Row[]> => await (await client.query({ query, format: 'JSONEachRow' })).json<Row>()
const say = (text: string): void => { process.stderr.write(`bench: privacy: ${text}\n`) }

/** Runs an insert for slices of `count` numbers from 0 on. */
async function inSlices (what: string, count: number, insert: (numbers: string) => string): Promise<void> {
  for (let from = 0; from < count; from += rowsPerSlice) {
    const rows = Math.min(rowsPerSlice, count - from)
    await client.command({ query: insert(`numbers(${String(from)}, ${String(rows)})`) })
    say(`${String(from + rows)} of ${String(count)} ${what}`)
  }
}

/** All entries of one revision, so that they arrive in about the order in which they were recorded. */
async function insertEntries (revision: number): Promise<void> {
  const { scope, purpose, nth } = changes[(revision - 1) % changes.length]!
  const furthest = await ask<{ partition: number, furthest: string }>('SELECT partition, max(sequence) AS furthest FROM consent_ledger GROUP BY partition')
  const taken = Array.from({ length: 16 }, (_, partition) => furthest.find(row => row.partition === partition)?.furthest ?? 0)
  // Seven in ten begin with a yes; later changes say the opposite, or take back what a device said.
  const said = (time: number): string => time === 0 ? "'absent'" : scope === 'device' && time === 2 ? "'cleared'"
    : `if((cityHash64(account, '${purpose}') % 10 < 7) = ${String(time % 2 === 1)}, 'granted', 'denied')`
  // Of the form of a seal, but under no key.
  const sealOf = (revision: number): string => revision === 0 ? "''" : `lower(concat(hex(sipHash128(account, ${String(revision)})), hex(sipHash128(${String(revision)}, account))))`
  const stepMs = overDays * dayMs / entriesPerAccount
  await inSlices(`entries of revision ${String(revision)}`, accounts, numbers => `
    INSERT INTO consent_ledger (subject, revision, entry_id, account_id, device_id, scope, purpose, decision, effective_at, recorded_at, actor, verified_by,
      via, notice_version, prev_hash, hash, previous, partition, sequence)
    WITH [${taken.join(',')}] AS taken
    SELECT concat('a:', account), ${String(revision)}, generateUUIDv4(), account, ${scope === 'device' ? "concat('device-', account)" : 'NULL'}, '${scope}', '${purpose}', ${said(nth)},
      at, at, 'user', ${scope === 'device' ? "'none'" : "'email'"}, '{"product":"cad","release":2026,"device_id":null}', '2026-01',
      ${sealOf(revision - 1)}, ${sealOf(revision)}, ${said(nth - 1)}, place, taken[place + 1] + row_number() OVER (PARTITION BY place ORDER BY at)
    FROM (
      SELECT concat('u-', leftPad(toString(${before} + number + 1), 7, '0')) AS account, CRC32(concat('a:', account)) % 16 AS place,
        fromUnixTimestamp64Milli(toInt64(${start} + ${String(stepMs * (revision - 1))} + cityHash64(number, ${String(revision)}) % ${String(stepMs)}), 'UTC') AS at
      FROM ${numbers})`)
}

for (let revision = 1; revision <= entriesPerAccount; revision++) await insertEntries(revision)

const spanMs = String(overDays * dayMs)
await inSlices('events', accounts * eventsPerAccount, numbers => `
  INSERT INTO events (event_id, name, version, product, release, product_version, account_ref, device_ref, occurred_at, captured_at, received_at, purpose, reason,
    consent_entry, properties, batch_id)
  SELECT generateUUIDv4(), 'command.run', 1, 'cad', 2026, '26.1.0', lower(hex(sipHash128(whose))), lower(hex(sipHash128(whose, 'device'))), at, at, at,
    'product_analytics', 'account_granted', generateUUIDv4(1), concat('{"command":"LINE","duration_ms":', toString(number % 60000), '}'), generateUUIDv4(2)
  FROM (
    SELECT number, ${before} + number % ${String(accounts)} AS whose, fromUnixTimestamp64Milli(toInt64(${start} + cityHash64(number) % ${spanMs}), 'UTC') AS at FROM ${numbers})`)

await inSlices('requests counted', Math.ceil(accounts * eventsPerAccount / keptPerRequest), numbers => `
  INSERT INTO decision_counts
  SELECT day, stage, request, 1, 'cad', 2026, kinds, arrayMap(kind -> 1, kinds),
    arrayMap(kind -> if(kind = 'license.heartbeat', 'license_compliance', 'product_analytics'), kinds),
    if(stage = 'intake', ['accepted', 'accepted', 'accepted', 'dropped'], ['stored', 'stored', 'stored']),
    if(stage = 'intake', ['account_granted', 'account_granted', 'required', 'account_denied'], ['account_granted', 'account_granted', 'required']),
    if(stage = 'intake', [40, 40, 20, ${String(droppedPerRequest)}], [40, 40, 20])
  FROM (SELECT generateUUIDv4() AS request, toDate(fromUnixTimestamp64Milli(toInt64(${start} + cityHash64(number) % ${spanMs}), 'UTC')) AS day FROM ${numbers})
  ARRAY JOIN ['intake', 'write'] AS stage, [['command.run', 'file.open', 'license.heartbeat', 'command.run'], ['command.run', 'file.open', 'license.heartbeat']] AS kinds`)

// No OPTIMIZE: what the engine merges by itself is awaited, and what it leaves is what is measured.
for (let quiet = 0; quiet < 3; quiet++) {
  await sleep(1000)
  if ((await ask('SELECT 1 FROM system.merges LIMIT 1')).length > 0) quiet = -1
}
interface Settled { table: string, parts: string, rows: string, size: string }
const settled = await ask<Settled>(`SELECT table, count() AS parts, sum(rows) AS rows, formatReadableSize(sum(bytes_on_disk)) AS size FROM system.parts
  WHERE active AND database = currentDatabase() AND table IN ('consent_ledger', 'events', 'decision_counts') GROUP BY table ORDER BY table`)
for (const { table, parts, rows, size } of settled) say(`${table}: ${rows} rows, ${size}, ${parts} parts`)
process.stdout.write(JSON.stringify(await ask('SELECT partition, max(sequence) AS furthest FROM consent_ledger GROUP BY partition')))
await close()
