import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import type { LedgerEntry } from '../../src/domain/ledger.ts'
import { makeParquet } from '../../src/files/parquet.ts'
import { makeEntry } from '../support/exports.ts'

const folder = t.testdir({})
const { client, close } = await openEmbedded(join(folder, 'clickhouse'))
t.teardown(close)

function fileOf (pages: LedgerEntry[][]): Buffer {
  const file = makeParquet()
  return Buffer.concat([file.begin(), ...pages.map(page => file.page(page)), file.end()])
}

async function readBack (pages: LedgerEntry[][], what = '*'): Promise<Array<Record<string, any>>> {
  const path = join(folder, 'ledger.parquet')
  await writeFile(path, fileOf(pages))
  return await (await client.query({ query: `SELECT ${what} FROM file('${path}', Parquet) SETTINGS max_threads = 1, input_format_parquet_preserve_order = 1`, format: 'JSONEachRow' })).json()
}

const text = fc.string({ unit: 'binary', maxLength: 20 })
const time = fc.integer({ min: 0, max: Date.UTC(2199, 0) })
const entries = fc.record({
  account_id: fc.option(text), device_id: fc.option(text), notice_version: fc.option(text), effective_at: time, recorded_at: time,
  revision: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), via: fc.option(fc.record({ product: text, release: fc.integer({ min: 1980, max: 2200 }), device_id: fc.option(text) }))
}).map(makeEntry)

t.test('whatever entries hold, and in however many pages they come, another reader reads the same', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.array(entries, { maxLength: 20 }), { maxLength: 4 }), async pages => {
    const rows = await readBack(pages, '* REPLACE (toUnixTimestamp64Milli(effective_at) AS effective_at, toUnixTimestamp64Milli(recorded_at) AS recorded_at)')
    const read = rows.map(row => ({ ...row, effective_at: Number(row['effective_at']), recorded_at: Number(row['recorded_at']), revision: Number(row['revision']) }))
    const written = pages.flat().map(entry => ({ ...entry, via: entry.via === null ? null : JSON.stringify(entry.via) }))
    return JSON.stringify(read.map(row => Object.entries(row).sort())) === JSON.stringify(written.map(row => Object.entries(row).sort()))
  }), { numRuns: 60 })
})

t.test('times are times, numbers numbers, and what may be missing may be missing', async t => {
  await writeFile(join(folder, 'types.parquet'), fileOf([[makeEntry()]]))
  const types = await (await client.query({ query: `DESCRIBE file('${join(folder, 'types.parquet')}', Parquet)`, format: 'JSONEachRow' })).json<{ name: string, type: string }>()
  const typeOf = Object.fromEntries(types.map(({ name, type }) => [name, type]))
  t.match(typeOf, { recorded_at: /DateTime64\(3, 'UTC'\)/, revision: /Int64/, account_id: 'Nullable(String)', hash: /String/ })
})

t.test('no entries make a file of no rows', async t => {
  t.same(await readBack([]), [])
})
