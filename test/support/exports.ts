/** What the tests of exports share. */
import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import { makeLedgerTable } from '../../src/clickhouse/ledger-table.ts'
import type { LedgerEntry } from '../../src/domain/ledger.ts'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { eventually, type TestService } from './service.ts'

export const because = { 'purpose-of-use': 'a regulator asks' }

export function makeEntry (fields: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    entry_id: randomUUID(), account_id: 'ada', device_id: null, scope: 'account', purpose: 'product_analytics', decision: 'granted', effective_at: 1_767_225_600_000,
    recorded_at: 1_767_225_600_000, actor: 'user', verified_by: 'email', via: null, notice_version: null, revision: 1, prev_hash: '', hash: 'f'.repeat(64), ...fields
  }
}

/** Puts entries of accounts into the ledger as the writer would, in one go. */
export async function fillLedger (service: TestService, entries: readonly LedgerEntry[]): Promise<void> {
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  const counts = new Map<number, number>()
  for (const partition of new Set(entries.map(entry => accountPartition(entry.account_id!)))) {
    counts.set(partition, Number(await service.redis.get(keyIn(partition, 'ledger-count')) ?? 0))
  }
  const placed = entries.map(entry => {
    const partition = accountPartition(entry.account_id!)
    const sequence = counts.get(partition)! + 1
    counts.set(partition, sequence)
    return { entry, previous: 'absent', partition, sequence }
  })
  for (let start = 0; start < placed.length; start += 5000) await makeLedgerTable(client, 0).insert(placed.slice(start, start + 5000))
  for (const [partition, count] of counts) await service.redis.set(keyIn(partition, 'ledger-count'), count)
  await close()
}

/** Asks for an export, and resolves with it once it is ready. */
export async function exportLedger (service: Pick<TestService, 'call'>, token: string, body: Record<string, unknown>): Promise<Record<string, any>> {
  const started = await service.call('POST', '/v1/privacy/exports', { token, body, headers: because })
  if (started.status !== 202) throw new Error(`no export was started: ${JSON.stringify(started.body)}`)
  let found = started.body
  await eventually('the export is ready', async () => {
    found = (await service.call('GET', `/v1/privacy/exports/${String(started.body['id'])}`, { token, headers: because })).body
    return found['status'] === 'ready'
  })
  return found
}

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')
