/** Inserts the rows of the given number of batches straight into the same table, in blocks; prints rows per second. */
import { Readable } from 'node:stream'
import { openEmbedded } from '../src/clickhouse/client.ts'
import { migrate } from '../src/clickhouse/migrate.ts'
import { eventsPerBatch, makeBatchText } from './traffic.ts'

const [directory = '', batches = '1000'] = process.argv.slice(2)
const blockRows = 50_000
const { client, close } = await openEmbedded(directory)
await migrate(client, new URL('../migrations', import.meta.url).pathname)

interface Sent { batch_id: string, events: Array<{ id: string, name: string, version: number, properties: object }> }
const rows = Array.from({ length: Number(batches) }, () => JSON.parse(makeBatchText()) as Sent).flatMap(batch => batch.events.map(event => JSON.stringify([
  event.id, event.name, event.version, 'cad', 2026, '26.1.0', 'a'.repeat(32), 'b'.repeat(32), Date.now(), Date.now(), Date.now(),
  'product_analytics', 'account_granted', batch.batch_id, JSON.stringify(event.properties), batch.batch_id
])))
const started = performance.now()
for (let from = 0; from < rows.length; from += blockRows) {
  const { stream } = await client.exec({
    query: `INSERT INTO events (event_id, name, version, product, release, product_version, account_ref, device_ref, occurred_at,
      captured_at, received_at, purpose, reason, consent_entry, properties, batch_id) FORMAT JSONCompactEachRow`,
    values: Readable.from([rows.slice(from, from + blockRows).join('\n')], { objectMode: false })
  })
  stream.resume()
}
process.stdout.write(`${String(Number(batches) * eventsPerBatch / (performance.now() - started) * 1000)}\n`)
await close()
