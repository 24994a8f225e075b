import { createHash } from 'node:crypto'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fates, makeEvent, signIn } from '../support/api.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'

/** The project's catalogue with notices of its own. */
const schemas = t.testdir({})
await cp(join(import.meta.dirname, '../../schemas'), schemas, { recursive: true })
await mkdir(join(schemas, 'notices'), { recursive: true })
const publish = async (...notices: Array<{ version: string, effective_from: string, material: boolean, purposes?: string[] }>): Promise<void> => {
  await Promise.all(notices.map(async ({ version }) => { await writeFile(join(schemas, 'notices', `${version}.md`), version) }))
  await writeFile(join(schemas, 'notices.json'), JSON.stringify({
    notices: notices.map(notice => ({ ...notice, title: 'What we do', sha256: createHash('sha256').update(notice.version).digest('hex') }))
  }))
}
const hour = 3_600_000
await publish(
  { version: 'first', effective_from: '2026-01-01T00:00:00Z', material: false },
  { version: 'second', effective_from: new Date(Date.now() + hour).toISOString(), material: true, purposes: ['product_analytics'] }
)
const pass = passTime(t)
const service = await startTestService(t, { SCHEMAS_DIR: schemas })

t.test('a material notice makes what was agreed to before lapse, and a new yes counts from then on', async t => {
  const ada = await signIn(service, 'ada', 'product_analytics', 'diagnostics')
  const bob = await signIn(service, 'bob')
  await bob.choose({ product_analytics: 'denied' })
  const before = makeEvent()
  t.same(fates(await service.post(ada.token, { events: [before] }), [before]), ['accepted'])
  await eventually('it is stored', async () => await service.count('events_v') === 1)

  service.service.writer?.pause()
  const waiting = makeEvent()
  await service.post(ada.token, { events: [waiting] })
  pass(hour)
  service.service.writer?.resume()
  await eventually('what waited is dropped', async () => await service.count("consent_decisions_v WHERE stage = 'write' AND reason = 'not_granted' AND outcome = 'dropped'") === 1)

  const events = [makeEvent(), makeEvent({ name: 'crash.reported', properties: { signature: '0'.repeat(64), kind: 'hang' } })]
  t.same(fates(await service.post(ada.token, { events }), events), ['not_granted', 'accepted'], 'a purpose that the notice is not about stands')
  await eventually('the rest is stored', async () => await service.count("events_v WHERE name = 'crash.reported'") === 1)
  const { body } = await service.call('GET', '/v1/me/privacy', { token: ada.token })
  t.match(body['account'], { product_analytics: { state: 'absent' }, diagnostics: { state: 'granted' } })
  t.match((await service.call('GET', '/v1/me/privacy', { token: bob.token })).body['account'], { product_analytics: { state: 'denied' } }, 'a no stays')
  const { body: { notices } } = await service.call('GET', '/v1/catalog')
  t.match(notices, [{ version: 'first', material: false }, { version: 'second', text: 'second', purposes: ['product_analytics'], sha256: /^[0-9a-f]{64}$/ }])

  const again = await service.change(ada.token, ada.email, { account: { product_analytics: 'granted' }, notice_version: 'second' })
  t.match(again.body['account'], { product_analytics: { state: 'granted' } })
  t.equal(again.body['entries'].length, 1, 'the same answer again is a new yes')
  const event = makeEvent()
  const late = makeEvent({ occurred_at: new Date(new Date().getTime() - 60_000).toISOString() }) // By the client's clock, which has not leapt.
  t.same(fates(await service.post(ada.token, { events: [event, late] }), [event, late]), ['accepted', 'captured_before_consent'])
})

t.test('a yes under an older notice, given late, is none', async t => {
  const cleo = await signIn(service, 'cleo')
  const { body } = await service.change(cleo.token, cleo.email, { account: { product_analytics: 'granted' }, notice_version: 'first' })
  t.match(body['account'], { product_analytics: { state: 'absent' } })
  t.match((await service.call('GET', '/v1/me/privacy/history', { token: cleo.token })).body['entries'], [{ decision: 'granted', notice_version: 'first' }], 'it is on record all the same')
})
