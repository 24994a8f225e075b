import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import { startEmbeddedRedis } from '../../src/redis/embedded.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { makeFolder, startProcess } from '../start/process.ts'
import { because, exportLedger, sha256 } from '../support/exports.ts'
import { eventually } from '../support/service.ts'

t.setTimeout(240_000)

const rows = 150_000

/** A ledger too long to be exported in a moment; its accounts share a partition. */
async function fillLedger (dataDir: string, partition: number): Promise<void> {
  const { client, close } = await openEmbedded(join(dataDir, 'clickhouse'))
  await client.command({
    query: `INSERT INTO consent_ledger (subject, revision, entry_id, account_id, scope, purpose, decision, effective_at, recorded_at, actor, verified_by, prev_hash, hash, partition, sequence)
            SELECT concat('a:', toString(number % 30000)), number + 1, generateUUIDv4(), toString(number % 30000), 'account', 'diagnostics', if(number % 2 = 0, 'granted', 'denied'), now64(3), now64(3), 'user', 'none', '', '', {partition: UInt8}, number + 1
            FROM numbers({rows: UInt64})`,
    query_params: { partition, rows }
  })
  await close()
  const redis = await startEmbeddedRedis({ dir: join(dataDir, 'redis'), socketPath: join(dataDir, 'redis', 'redis.sock'), readyWithinMs: 20_000, onRestart: () => {} })
  const connection = new Redis(redis.socketPath)
  await connection.set(keyIn(partition, 'ledger-count'), rows)
  connection.disconnect()
  await redis.close()
}

t.test('an export that a kill interrupts is finished after the next start, and is the same', async t => {
  const dataDir = await makeFolder(t)
  const environment = { DATA_DIR: dataDir, RATE_LIMITS: 'off' }
  await (await startProcess(t, environment)).end('SIGTERM')
  await fillLedger(dataDir, accountPartition('ada'))
  let service = await startProcess(t, environment)
  const token = await service.token({ sub: 'rita', scope: 'privacy:read', expires_in: 3600 })

  const { body } = await service.call('POST', '/v1/privacy/exports', { token, body: { format: 'csv' }, headers: because })
  const find = async (): Promise<Record<string, any>> => (await service.call('GET', `/v1/privacy/exports/${String(body['id'])}`, { token, headers: because })).body
  await eventually('it is under way', async () => (await find())['rows_done'] > 0)
  const underWay = await find()
  t.match(underWay, { status: 'running' })
  t.notOk('manifest' in underWay)
  await service.end('SIGKILL')

  service = await startProcess(t, environment)
  await eventually('it is ready', async () => (await find())['status'] === 'ready', 60_000)
  const { manifest, download } = await find()
  t.match(manifest, { rows, ledger_head: body['ledger_head'] })
  const file = await fetch(service.url + String(download), { headers: { authorization: `Bearer ${token}`, ...because } })
  t.equal(sha256(new Uint8Array(await file.arrayBuffer())), manifest.sha256)

  const another = await exportLedger(service, token, { format: 'csv', at: body['ledger_head'].position })
  t.equal(another['manifest'].sha256, manifest.sha256)
  await service.call('POST', '/v1/privacy/exports', { token, body: { format: 'parquet' }, headers: because })
  t.equal((await service.end('SIGTERM')).code, 0, 'an export under way does not hold up a stop')
})
