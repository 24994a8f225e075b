import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { accountRef, certificateOf, deviceRef, knownKey, openFiles } from '../support/erasure.ts'
import { fates, heartbeat, makeEvent, signIn } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const schemas = t.testdir({})
await cp(join(import.meta.dirname, '../../schemas'), schemas, { recursive: true })
const file = join(schemas, 'purposes.json')
const { purposes } = JSON.parse(await readFile(file, 'utf8')) as { purposes: Array<{ id: string, on_withdrawal?: string }> }
await writeFile(file, JSON.stringify({ purposes: purposes.map(purpose => purpose.id === 'product_analytics' ? { ...purpose, on_withdrawal: 'erase' } : purpose) }))

const service = await startTestService(t, { ...knownKey, SCHEMAS_DIR: schemas })
const inFiles = await openFiles(t, service)

const rows = async (where: string): Promise<[number, number]> => [await service.count(`events_v WHERE ${where}`), await inFiles('events', where)]
const stored = async (count: number, where: string): Promise<void> => { await eventually(`${String(count)} are stored`, async () => await service.count(`events_v WHERE ${where}`) === count) }
const gone = async (where: string): Promise<void> => { await eventually('they are gone', async () => (await rows(where)).every(count => count === 0)) }

t.test('a purpose that asks for it loses what its consent had permitted, and no other does', async t => {
  const ada = await signIn(service, 'ada', 'product_analytics', 'diagnostics')
  const bob = await signIn(service, 'bob', 'product_analytics')
  const crash = makeEvent({ name: 'crash.reported', properties: { signature: '0'.repeat(64), kind: 'hang' } })
  await service.post(ada.token, { events: [makeEvent(), makeEvent(), makeEvent(heartbeat), crash] })
  await service.post(bob.token)
  const of = (name: string, purpose = ''): string => `account_ref = '${accountRef(name)}'${purpose === '' ? '' : ` AND purpose = '${purpose}'`}`
  await stored(4, of('ada'))
  await stored(1, of('bob'))
  const { body } = await ada.choose({ product_analytics: 'denied', diagnostics: 'denied' })
  await gone(of('ada', 'product_analytics'))
  t.same(await rows(of('ada')), [2, 2], 'a purpose that keeps, and what is required')
  t.same(await rows(of('bob')), [1, 1])

  const entry = (await service.call('GET', '/v1/me/privacy/history', { token: ada.token })).body['entries'].find((one: { purpose: string, decision: string }) => one.purpose === 'product_analytics' && one.decision === 'denied')
  t.ok(body['entries'].includes(entry.entry_id))
  const [opened] = await service.redis.keys(`assent:*:erasure:*-${String(entry.entry_id)}`)
  t.match(await certificateOf(service, opened!.split(':').at(-1)!), {
    purpose: 'product_analytics', requested_by: 'withdrawal', erased_until: entry.effective_at, tables: [{ table: 'events', rows_before: 2, rows_after: 0 }, {}]
  })
  t.equal((await service.redis.keys('assent:*:erasure:*')).length, 1, 'the other withdrawal asked for none')

  await ada.choose({ product_analytics: 'granted' })
  const later = makeEvent()
  t.same(fates(await service.post(ada.token, { events: [later] }), [later]), ['accepted'], 'it sets no tombstone')
  await stored(1, of('ada', 'product_analytics'))
})

t.test('a withdrawal on a device erases what came from there: of that account, or of nobody', async t => {
  const eve = await signIn(service, 'eve')
  const alone = async (device: string): Promise<string> => await service.token({ sub: `device:${device}`, device_id: device })
  const old = { name: 'cad', release: 2020, version: '20' }
  for (const device of ['one', 'two']) {
    t.equal((await service.post(await service.token({ sub: 'eve', device_id: device }), { product: old, events: [makeEvent(heartbeat)] })).status, 202)
    t.equal((await service.call('PUT', `/v1/devices/${device}/privacy`, { token: await alone(device), body: { product_analytics: 'granted' } })).status, 200)
  }
  t.equal((await service.change(eve.token, eve.email, { devices: { one: { product_analytics: 'granted' }, two: { product_analytics: 'granted' } } })).status, 200)
  for (const device of ['one', 'two']) {
    for (const token of [await service.token({ sub: 'eve', device_id: device }), await alone(device)]) {
      const event = makeEvent()
      t.same(fates(await service.post(token, { product: old, events: [event] }), [event]), ['accepted'])
    }
  }
  const at = (device: string, account: string): string => `device_ref = '${deviceRef(device)}' AND account_ref = '${account}' AND purpose = 'product_analytics'`
  const all = async (): Promise<number[]> => await Promise.all(['one', 'two'].flatMap(device => [accountRef('eve'), ''].map(async account => await inFiles('events', at(device, account)))))
  await eventually('they are stored', async () => (await all()).join('') === '1111')

  t.equal((await service.change(eve.token, eve.email, { devices: { one: { product_analytics: 'denied' } } })).status, 200)
  await gone(at('one', accountRef('eve')))
  t.same(await all(), [0, 1, 1, 1])
  t.equal((await service.call('PUT', '/v1/devices/two/privacy', { token: await alone('two'), body: { product_analytics: 'denied' } })).status, 200)
  await gone(at('two', ''))
  t.same(await all(), [0, 1, 1, 0])
})

t.test('what still waits is dropped before it is certified, and the rest of its batch is stored', async t => {
  const finn = await signIn(service, 'finn', 'product_analytics')
  service.service.writer?.pause()
  await service.post(finn.token, { events: [makeEvent(), makeEvent(heartbeat)] })
  const [before] = [await service.redis.keys('assent:*:erasure:*')]
  await finn.choose({ product_analytics: 'denied' })
  let opened: string | undefined
  await eventually('it is opened', async () => { opened = (await service.redis.keys('assent:*:erasure:*')).find(key => !before.includes(key)); return opened !== undefined })
  await eventually('the batch is found', async () => (await service.redis.hget(opened!, 'batches')) === '{"found":1,"remaining":1}')
  service.service.writer?.resume()
  t.match(await certificateOf(service, opened!.split(':').at(-1)!), { queue: { batches: 1, events_removed: 1 }, tables: [{ rows_before: 0 }, {}] })
  await stored(1, `account_ref = '${accountRef('finn')}'`)
})
