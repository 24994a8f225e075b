import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { accountPartition, keyIn } from '../../src/redis/keys.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient } from '../support/two-step.ts'
import { makeFolder, runToEnd, type Ended } from './process.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { letters, prove, protect } = makeTwoStepClient(service, pass)
const folder = await makeFolder(t)

/** Seal keys of a service that was given none lie in its directory, the current one first. */
const keysFile = join(service.dataDir, 'keys', 'development.json')
const stored = JSON.parse(await readFile(keysFile, 'utf8')) as { seal_keys: Record<string, string> }
const newKey = { rotated: randomBytes(32).toString('base64') }
async function useSealKeys (keys: Record<string, string>): Promise<void> {
  await writeFile(keysFile, JSON.stringify({ ...stored, seal_keys: keys }))
  await service.restart()
}

/** The command, beside the running service. */
const rotate = async (keys: Record<string, string>): Promise<Ended> => await runToEnd(t, {
  DATA_DIR: folder,
  REDIS_URL: `unix:${join(service.dataDir, 'redis', 'redis.sock')}`,
  SEAL_KEYS: Object.entries(keys).map(([id, key]) => `${id}:${key}`).join(',')
}, ['rotate-keys'])
const security = (name: string): string => keyIn(accountPartition(name), 'security', name)
const sealed = async (name: string): Promise<Array<string | null>> => await service.redis.hmget(security(name), 'totp', 'mail_to')

const [ada, bob] = [await protect('ada'), await protect('bob')]

t.test('what an old key sealed is sealed anew, beside the running service', async t => {
  await useSealKeys({ ...newKey, ...stored.seal_keys })
  for (const one of await sealed('ada')) t.match(one, /^dev\./)
  const { code, stdout, stderr } = await rotate({ ...newKey, ...stored.seal_keys })
  t.match({ code, stdout, stderr }, { code: 0, stdout: 'assent: 2 accounts read, 4 secrets and addresses sealed anew\n', stderr: '' })
  for (const one of [...await sealed('ada'), ...await sealed('bob')]) t.match(one, /^rotated\./)
})

t.test('a second run finds nothing to do, and a long one shows how far it is', async t => {
  const before = await sealed('ada')
  const many = service.redis.pipeline()
  for (let index = 0; index < 2500; index++) many.hset(security(`many-${String(index)}`), 'failures', '1')
  await many.exec()
  const { code, stdout, stderr } = await rotate({ ...newKey, ...stored.seal_keys })
  t.equal(code, 0)
  t.match(stdout, /^assent: 25\d\d accounts read, 0 secrets and addresses sealed anew\n$/)
  t.same(stderr.split('\n'), ['assent: 1000 accounts read, 0 secrets and addresses sealed anew…', 'assent: 2000 accounts read, 0 secrets and addresses sealed anew…', ''])
  t.same(await sealed('ada'), before)
})

t.test('then the old key can go: authenticators verify and letters arrive', async t => {
  await useSealKeys(newKey)
  t.match(await prove(ada, 'privacy.update', { method: 'totp' }), { status: 200, body: { amr: ['otp'] } })
  // Told by an administrator, of whose call the address can only come from what is kept.
  const admin = await service.token({ sub: 'admin', scope: 'security:admin' })
  t.equal((await service.call('POST', '/v1/admin/accounts/bob/unlock', { token: admin, body: { reason: 'asked by phone' } })).status, 204)
  await eventually('the letter came', async () => (await letters(bob)).length > 0)
  t.equal(service.logs.filter(line => line.includes('address-unreadable')).length, 0)
})

t.test('what cannot be opened is counted and left, the rest is done, and the command fails', async t => {
  await service.redis.hset(security('many-0'), 'totp', 'lost.AAAA.AAAA.AAAA', 'mail_to', 'garbled')
  const newest = { newest: randomBytes(32).toString('base64') }
  const { code, stdout, stderr } = await rotate({ ...newest, ...newKey })
  t.equal(code, 1)
  t.match(stdout, /, 4 secrets and addresses sealed anew\n$/)
  t.match(stderr, /^assent: 2 cannot be opened: /m)
  for (const one of [...await sealed('ada'), ...await sealed('bob')]) t.match(one, /^newest\./)
  t.same(await sealed('many-0'), ['lost.AAAA.AAAA.AAAA', 'garbled'])

  await useSealKeys(newest)
  t.equal((await prove(bob, 'privacy.update', { method: 'totp' })).status, 200)
})

t.test('what is run beside a running service installs nothing: that would empty the packages it runs from', async t => {
  const { scripts } = JSON.parse(await readFile(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  t.match(scripts, { 'keys:rotate': /^node src\/main\.ts rotate-keys$/, 'ledger:rebuild': /^node src\/main\.ts rebuild-consents$/ })
})
