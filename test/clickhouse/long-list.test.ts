import t, { type Test } from 'tap'
import { connectRemote, type ClickHouse } from '../../src/clickhouse/client.ts'
import { makeLedgerTable } from '../../src/clickhouse/ledger-table.ts'
import { bindList } from '../../src/clickhouse/long-list.ts'
import { migrate } from '../../src/clickhouse/migrate.ts'
import { makePrivacyReader } from '../../src/clickhouse/privacy-reader.ts'
import { startBridge } from '../support/clickhouse-bridge.ts'
import { migrationsDir, startClickHouse } from '../support/clickhouse.ts'
import { makePlaced } from '../support/placed-entry.ts'

t.test('a list is cut into pieces that keep its order, and loses nothing', async t => {
  const values = Array.from({ length: 10_000 }, (_, index) => `account-${String(index)}-${'x'.repeat(index % 240)}`)
  const { expression, parameters } = bindList('ids', 'String', values)
  t.strictSame(Object.values(parameters).flat(), values)
  t.equal(expression, `arrayConcat(${Object.keys(parameters).map(name => `{${name}: Array(String)}`).join(', ')})`)
  t.ok(Object.values(parameters).every(piece => JSON.stringify(piece).length <= 60_000))
  t.strictSame(bindList('ids', 'UUID', []), { expression: 'arrayConcat({ids0: Array(UUID)})', parameters: { ids0: [] } })
})

const hard = '\'\\\t"ü{x:String}'
const accountIds = Array.from({ length: 10_000 }, (_, index) => `${hard.repeat(6)}${String(index)}`)
const chosen = [accountIds[0]!, accountIds[4321]!, accountIds[9999]!]

/** Asks about all of them where three have chosen. */
async function askAbout (t: Test, { client, reader }: Pick<ClickHouse, 'client' | 'reader'>): Promise<void> {
  await makeLedgerTable(client, 1000).insert(chosen.map(account_id => makePlaced({ account_id })))
  const { accounts } = await makePrivacyReader(reader).forPurpose('product_analytics', accountIds, undefined, { asOf: undefined, knownAt: undefined }, [0])
  t.strictSame([...accounts.keys()].sort(), [...chosen].sort())
  t.match(accounts.get(chosen[0]!), [{ decision: 'granted', scope: 'account' }])
}

t.test('the engine in this process is asked about 10,000 accounts in one question', async t => { await askAbout(t, await startClickHouse(t)) })

t.test('a remote server is asked about 10,000 accounts in one question', async t => {
  const bridge = await startBridge(t)
  const { client, reader, close } = connectRemote({ url: bridge.url, username: 'default', password: '', database: 'default', compression: true, requestTimeoutMs: 30_000 })
  t.teardown(close)
  await migrate(client, migrationsDir)
  await askAbout(t, { client, reader })
})
