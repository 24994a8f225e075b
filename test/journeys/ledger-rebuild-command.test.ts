import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder, runToEnd, startProcess } from '../start/process.ts'
import { signIn } from '../support/api.ts'
import { eventually } from '../support/service.ts'

const settings = (folder: string): { DATA_DIR: string, RATE_LIMITS: string } => ({ DATA_DIR: join(folder, 'data'), RATE_LIMITS: 'off' })

t.test('one command makes Redis again from the ledger, and says what it did', async t => {
  const environment = settings(await makeFolder(t))
  const service = await startProcess(t, environment)
  const { choose } = await signIn(service, 'ada', 'product_analytics', 'diagnostics')
  await choose({ product_analytics: 'denied' })
  await eventually('the ledger is in ClickHouse', async () => (await service.sql('SELECT 1 FROM consent_ledger_v')).length === 3)
  t.match(await runToEnd(t, environment, ['rebuild-consents']), { code: 1, stderr: /DATA_DIR .* is in use/ }, 'not beside the service that holds the directory')
  t.equal((await service.end('SIGTERM')).code, 0)

  t.match(await runToEnd(t, environment, ['rebuild-consents']), { code: 0, stdout: /^assent: 1 subjects of 3 entries read, 0 restored; 0 erasures and 0 policies restored\n$/ })
  await rm(join(environment.DATA_DIR, 'redis'), { recursive: true })
  t.match(await runToEnd(t, environment, ['rebuild-consents']), { code: 0, stdout: /^assent: 1 subjects of 3 entries read, 1 restored;/ })

  const again = await startProcess(t, environment)
  const token = await again.token({ sub: 'ada' })
  t.match((await again.call('GET', '/v1/me/privacy', { token })).body, { revision: 3, account: { product_analytics: { state: 'denied' }, diagnostics: { state: 'granted' } } })
  t.notMatch((await again.end('SIGTERM')).stderr, /behind/)
})

t.test('a start that finds Redis lost says what it does about it', async t => {
  const environment = settings(await makeFolder(t))
  const service = await startProcess(t, environment)
  await signIn(service, 'ada', 'product_analytics')
  await eventually('the ledger is in ClickHouse', async () => (await service.sql('SELECT 1 FROM consent_ledger_v')).length === 1)
  t.notMatch((await service.end('SIGTERM')).stderr, /behind/)
  await rm(join(environment.DATA_DIR, 'redis'), { recursive: true })
  const again = await startProcess(t, environment)
  t.match((await again.end('SIGTERM')).stderr, /^assent: the state in Redis is behind the ledger: rebuilding…\nassent: 1 subjects of 1 entries read, 1 restored;/m)
})

t.test('a rebuild with another key than the ledger was sealed with takes nothing for denied, and stops', async t => {
  const environment = settings(await makeFolder(t))
  const service = await startProcess(t, environment)
  await signIn(service, 'ada', 'product_analytics')
  await eventually('the ledger is in ClickHouse', async () => (await service.sql('SELECT 1 FROM consent_ledger_v')).length === 1)
  await service.end('SIGTERM')
  await rm(join(environment.DATA_DIR, 'redis'), { recursive: true })
  const other = { ...environment, LEDGER_KEY: Buffer.alloc(32, 7).toString('base64') }
  t.match(await runToEnd(t, other), { code: 1, stderr: /cannot start: LEDGER_KEY is not the key that the ledger was sealed with/ })
  t.match(await runToEnd(t, environment, ['rebuild-consents']), { code: 0, stdout: /1 restored/ })
})

t.test('help names the command', async t => {
  t.match((await runToEnd(t, {}, ['--help'])).stdout, /npm run ledger:rebuild/)
})
