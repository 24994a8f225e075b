import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { sealWith } from '../../src/crypto/keyed-hash.ts'
import { emptyRecord, type ChoiceState } from '../../src/domain/consent.ts'
import { applyChanges, type Change, type Subject } from '../../src/domain/ledger.ts'
import { connectForRequests } from '../../src/redis/client.ts'
import { makeConsentStore, policyKey } from '../../src/redis/consent-store.ts'
import { keyIn, partitionOf } from '../../src/redis/keys.ts'
import { fates, makeEvent, signIn } from '../support/api.ts'
import { asTeam, meddle, remove } from '../support/meddle.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t)
const team = asTeam(service)
const verdict = async (): Promise<Record<string, any>> => (await team('POST', 'ledger/verify')).body

/** What Redis keeps of choices and policies, and how many entries each partition is taken to have. */
async function kept (): Promise<Record<string, string | null>> {
  const names = (await Promise.all(['consent', 'policy', 'ledger-count'].map(async kind => await service.redis.keys(`assent:*:${kind}*`)))).flat().sort()
  return Object.fromEntries(await Promise.all(names.map(async name => [name, await service.redis.get(name)] as const)))
}

const settled = async (): Promise<void> => { t.match(await verdict(), { ok: true }) }
const fateOf = async (token: string): Promise<string[]> => {
  const events = [makeEvent()]
  return fates(await service.post(token, { events }), events)
}

const no = await signIn(service, 'no', 'product_analytics')
await no.choose({ product_analytics: 'denied' })
const yes = await signIn(service, 'yes', 'product_analytics')
const member = await signIn(service, 'member', 'product_analytics')
const memberToken = await service.token({ sub: 'member', org_id: 'acme' })

t.test('a Redis that was lost is made again at the next start, before anything is served', async t => {
  await team('PUT', 'organizations/acme/policy', { product_analytics: 'off', diagnostics: 'off' })
  await team('PUT', 'organizations/acme/policy', { product_analytics: 'off' })
  await team('PUT', 'organizations/empty/policy', {})
  await settled()
  const before = await kept()
  await meddle(service, [], { wipeRedis: true })
  t.same(await kept(), before)
  t.same(await fateOf(no.token), ['account_denied'])
  t.same(await fateOf(yes.token), ['accepted'])
  t.same(await fateOf(memberToken), ['org_denied'], 'nor is an organisation\'s policy forgotten')
  for (const policy of [{}, { diagnostics: 'off' }]) t.match(await team('PUT', 'organizations/empty/policy', policy), { status: 200 }, 'one that stated nothing can be stated anew')
  await settled()
})

t.test('a policy of nothing that an older release has restored can be stated anew', async t => {
  await service.redis.set(policyKey('restored'), '{}')
  t.match(await team('PUT', 'organizations/restored/policy', { diagnostics: 'off' }), { status: 200 })
})

t.test('the ledger goes on from where it was', async t => {
  await no.choose({ product_analytics: 'granted' })
  await yes.choose({ product_analytics: 'denied' })
  await member.choose({ product_analytics: 'denied' })
  await settled()
  t.equal(await service.count('(SELECT partition, sequence FROM consent_ledger GROUP BY partition, sequence HAVING uniq(entry_id) > 1)'), 0)
  t.equal(await service.count('(SELECT subject, revision FROM consent_ledger GROUP BY subject, revision HAVING uniq(entry_id) > 1)'), 0)
})

t.test('an older copy of Redis is brought up to date as well', async t => {
  const older = await kept()
  await no.choose({ product_analytics: 'denied' })
  await team('PUT', 'organizations/acme/policy', {})
  await settled()
  const before = await kept()
  for (const [name, text] of Object.entries(older)) await service.redis.set(name, text!)
  await eventually('the policies have left their outbox', async () => await service.redis.xlen(keyIn(partitionOf('o:acme'), 'policies')) === 0)
  await service.redis.call('XSETID', keyIn(partitionOf('o:acme'), 'policies'), '1-0')
  await meddle(service, [])
  t.same(await kept(), before)
  t.same(await fateOf(no.token), ['account_denied'])
})

t.test('what was erased stays out', async t => {
  const at = Date.now() + 60_000
  await yes.choose({ product_analytics: 'granted' })
  t.same(await fateOf(yes.token), ['accepted'])
  await settled()
  await meddle(service, [`INSERT INTO erasures SELECT generateUUIDv4(), 'yes', NULL, NULL, fromUnixTimestamp64Milli(${String(at)}), 'team', '', '{}', 1`], { wipeRedis: true })
  t.same(await fateOf(yes.token), ['erased'])
})

t.test('an end that was cut off before Redis was lost still shows', async t => {
  await member.choose({ product_analytics: 'granted' })
  await settled()
  const last = 'subject = \'a:member\' AND revision = 3'
  await meddle(service, [`CREATE TABLE cut ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM consent_ledger WHERE ${last}`, remove(last)], { wipeRedis: true })
  t.match(await verdict(), { ok: false, first_bad: { what: 'checkpoint_broken' }, checkpoints: { ok: false } })
  await meddle(service, ['INSERT INTO consent_ledger SELECT * FROM cut'])
  await settled()
})

t.test('wiping and rebuilding loses no choice, whatever people chose', async t => {
  const redis = connectForRequests({ socketPath: join(service.dataDir, 'redis', 'redis.sock') })
  await redis.connect()
  const consents = makeConsentStore(redis, () => 'denied')
  const { ledger_key: key } = JSON.parse(await readFile(join(service.dataDir, 'keys', 'development.json'), 'utf8')) as { ledger_key: string }
  const seal = sealWith(Buffer.from(key, 'base64'))

  const change: fc.Arbitrary<Change> = fc.record({
    deviceId: fc.constantFrom(null, 'pc', '__proto__', 'constructor'),
    purpose: fc.constantFrom('product_analytics', 'diagnostics'),
    decision: fc.constantFrom<ChoiceState>('granted', 'denied', 'cleared')
  }).map(fields => ({ ...fields, scope: fields.deviceId === null ? 'account' : 'device' }))
  const story = fc.record({
    kind: fc.constantFrom<Subject['kind']>('account', 'device'),
    notice: fc.constantFrom(null, '2026-01'),
    steps: fc.array(fc.record({ now: fc.integer({ min: 1, max: 10 ** 12 }), changes: fc.array(change, { maxLength: 4 }) }), { minLength: 1, maxLength: 8 })
  })
  for (const [index, { kind, notice, steps }] of fc.sample(story, 60).entries()) {
    const subject = { kind, id: `told-${String(index)}` }
    let record = emptyRecord
    for (const { now, changes } of steps) {
      const told = kind === 'account' ? changes : changes.map((change): Change => ({ ...change, scope: 'device', deviceId: subject.id }))
      const after = applyChanges(subject, record, told, { actor: 'user', verifiedBy: 'email', via: { product: 'cad', release: 2026, device_id: null }, noticeVersion: notice }, { now, newId: randomUUID, seal })
      t.equal(await consents.write(subject, record, after.record, after.entries), 'written')
      record = after.record
    }
  }
  redis.disconnect()
  await settled()
  const before = await kept()
  t.ok(Object.keys(before).length > 40)
  await meddle(service, [], { wipeRedis: true })
  t.same(await kept(), before)
})

t.test('a place that nobody can have come to by counting is not gone on from', async t => {
  await settled()
  const before = await kept()
  const last = 'subject = \'a:yes\' AND revision = 3'
  await meddle(service, [`CREATE TABLE moved ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM consent_ledger WHERE ${last}`, `INSERT INTO consent_ledger SELECT * REPLACE (18446744073709551615 AS sequence) FROM moved`])
  t.same(await kept(), before)
  await meddle(service, [], { wipeRedis: true })
  t.same((await kept())[keyIn(partitionOf('a:yes'), 'ledger-count')], before[keyIn(partitionOf('a:yes'), 'ledger-count')])
  await yes.choose({ product_analytics: 'denied' })
  await meddle(service, [remove(`${last} AND sequence > 1000000`), remove(last), 'INSERT INTO consent_ledger SELECT * FROM moved'])
  await settled()
})

t.test('an entry that was filed with somebody else, or names somebody else, changes nothing of theirs', async t => {
  const before = await kept()
  await meddle(service, [
    'INSERT INTO consent_ledger SELECT * REPLACE (\'a:aaa\' AS subject) FROM (SELECT * FROM consent_ledger WHERE subject = \'a:member\' AND revision = 1)',
    'INSERT INTO consent_ledger SELECT * REPLACE (\'nobody\' AS subject) FROM (SELECT * FROM consent_ledger WHERE subject = \'a:member\' AND revision = 1)',
    'CREATE TABLE named ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM consent_ledger WHERE subject = \'a:yes\' AND revision = 1',
    'ALTER TABLE consent_ledger UPDATE account_id = \'victim\' WHERE subject = \'a:yes\' AND revision = 1'
  ], { wipeRedis: true })
  const names = Object.keys(await kept())
  t.same(names, Object.keys(before), 'nobody has a record that had none')
  t.same(await fateOf(no.token), ['account_denied'])
  await meddle(service, [remove('subject IN (\'a:aaa\', \'nobody\')'), remove('subject = \'a:yes\' AND revision = 1'), 'INSERT INTO consent_ledger SELECT * FROM named'], { wipeRedis: true })
  t.same(await kept(), before)
  await settled()
})

t.test('an entry that cannot be read counts as denied, and so does a policy that cannot be read count for nothing', async t => {
  const { token } = await signIn(service, 'unread', 'product_analytics')
  t.same(await fateOf(token), ['accepted'])
  await settled()
  const before = await kept()
  await meddle(service, [
    'CREATE TABLE unread ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM consent_ledger WHERE subject = \'a:unread\'',
    'ALTER TABLE consent_ledger UPDATE via = \'garbage\' WHERE subject = \'a:unread\'',
    'INSERT INTO organization_policies SELECT \'acme\', now64(3), generateUUIDv4(), arrayJoin([\'garbage\', \'5\'])'
  ], { wipeRedis: true })
  t.same(await fateOf(token), ['account_denied'])
  t.same((await kept())[policyKey('acme')], before[policyKey('acme')])
  await meddle(service, [remove('subject = \'a:unread\''), 'INSERT INTO consent_ledger SELECT * FROM unread', remove('NOT isValidJSON(policy) OR policy = \'5\'', 'organization_policies')], { wipeRedis: true })
  await settled()
})

t.test('what the ledger cannot prove counts as denied', async t => {
  await meddle(service, ['ALTER TABLE consent_ledger UPDATE decision = \'granted\' WHERE subject = \'a:no\''], { wipeRedis: true })
  t.same(await fateOf(no.token), ['account_denied'])
})
