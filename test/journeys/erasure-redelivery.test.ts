import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { accountRef, certificateOf, eraseFor, knownKey } from '../support/erasure.ts'
import { fates, heartbeat, makeBatch, makeEvent, signIn } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const schemas = t.testdir({})
await cp(join(import.meta.dirname, '../../schemas'), schemas, { recursive: true })
const file = join(schemas, 'purposes.json')
const { purposes } = JSON.parse(await readFile(file, 'utf8')) as { purposes: Array<{ id: string, required: boolean }> }
await writeFile(file, JSON.stringify({ purposes: purposes.map(purpose => purpose.required ? purpose : { ...purpose, on_withdrawal: 'erase' }) }))

const service = await startTestService(t, { ...knownKey, SCHEMAS_DIR: schemas })
const stored = async (name: string): Promise<number> => await service.count(`events_v WHERE account_ref = '${accountRef(name)}'`)
const erasedAtWrite = async (): Promise<number> => Number((await service.sql<{ n: string | null }>("SELECT sum(count) AS n FROM consent_decisions_v WHERE reason = 'erased' AND stage = 'write'"))[0]?.n ?? 0)
const deliver = async (token: string, body: Record<string, unknown>): Promise<string[]> =>
  fates(await service.call('POST', '/v1/events', { token, body }), body['events'] as Array<Record<string, unknown>>)
const balances = async (): Promise<void> => {
  await eventually('the books balance', async () => {
    const { body } = await service.call('GET', '/v1/privacy/stats/decisions', { token: await service.token({ sub: 'team', scope: 'privacy:read' }), headers: { 'purpose-of-use': 'an audit' } })
    return body['books'].balanced === true && body['books'].pending === 0
  })
}

t.test('by a clock that is fast, the same batch after an erasure is stored no more', async t => {
  const token = await service.token({ sub: 'ada' })
  const ahead = new Date(Date.now() + 600_000).toISOString()
  const batch = makeBatch({ sent_at: ahead, events: [makeEvent({ ...heartbeat, occurred_at: ahead }), makeEvent({ ...heartbeat, occurred_at: ahead })] })
  await deliver(token, batch)
  await eventually('it is stored', async () => await stored('ada') === 2)
  const { body: { id } } = await eraseFor(service, { account_id: 'ada', reason: 'a letter' })
  t.match(await certificateOf(service, id), { tables: [{ rows_before: 2, rows_after: 0 }, {}] })

  const before = await erasedAtWrite()
  t.same(await deliver(token, batch), ['accepted', 'accepted'], 'by its times it is new')
  const later = makeEvent(heartbeat)
  t.same(await deliver(token, makeBatch({ events: [later] })), ['accepted'])
  await eventually('the later one is stored', async () => await stored('ada') >= 1)
  await eventually('the same are dropped', async () => await erasedAtWrite() - before === 2)
  t.same(await service.sql(`SELECT event_id FROM events_v WHERE account_ref = '${accountRef('ada')}'`), [{ event_id: later['id'] }])
  await balances()
})

t.test('what waited when it was erased is known too when it comes again', async t => {
  const token = await service.token({ sub: 'bob' })
  const ahead = new Date(Date.now() + 600_000).toISOString()
  const batch = makeBatch({ sent_at: ahead, events: [makeEvent({ ...heartbeat, occurred_at: ahead })] })
  service.service.writer?.pause()
  await deliver(token, batch)
  const { body: { id } } = await eraseFor(service, { account_id: 'bob', reason: 'a letter' })
  service.service.writer?.resume()
  t.match(await certificateOf(service, id), { queue: {} })
  const before = await erasedAtWrite()
  await deliver(token, batch)
  await eventually('it is dropped', async () => await erasedAtWrite() - before === 1)
  t.equal(await stored('bob'), 0)
})

t.test('what a withdrawal erased stays out under a new yes; what is new is kept', async t => {
  const cy = await signIn(service, 'cy', 'product_analytics')
  const batch = makeBatch({ events: [makeEvent(), makeEvent()] })
  await deliver(cy.token, batch)
  await eventually('it is stored', async () => await stored('cy') === 2)
  await cy.choose({ product_analytics: 'denied' })
  await eventually('it is gone', async () => await stored('cy') === 0)
  await cy.choose({ product_analytics: 'granted' })
  await new Promise(resolve => setTimeout(resolve, 50))

  const before = await erasedAtWrite()
  t.same(await deliver(cy.token, batch), ['accepted', 'accepted'], 'its old time of sending makes it look new')
  const later = makeEvent()
  await deliver(cy.token, makeBatch({ events: [later] }))
  await eventually('the same are dropped', async () => await erasedAtWrite() - before === 2)
  await eventually('the new one is stored', async () => await stored('cy') >= 1)
  t.same(await service.sql(`SELECT event_id FROM events_v WHERE account_ref = '${accountRef('cy')}'`), [{ event_id: later['id'] }])
  await balances()
})

t.test('many who stop at once lose their events, each with a certificate of its own, and nobody else does', async t => {
  const people = await Promise.all(Array.from({ length: 150 }, async (_, index) => {
    const name = `crowd-${String(index)}`
    const token = await service.token({ sub: `device:${name}`, device_id: name, expires_in: 31_536_000 })
    await service.call('PUT', `/v1/devices/${name}/privacy`, { token, body: { product_analytics: 'granted' } })
    return { name, token }
  }))
  const old = { name: 'cad', release: 2020, version: '20' }
  const dan = await signIn(service, 'dan', 'product_analytics')
  await deliver(dan.token, makeBatch())
  await Promise.all(people.map(async ({ token }, index) => await service.post(token, { product: old, events: Array.from({ length: 1 + index % 3 }, () => makeEvent()) })))
  const all = async (): Promise<number> => await service.count("events_v WHERE account_ref = '' AND purpose = 'product_analytics'")
  await eventually('all are stored', async () => await all() === 300)
  const stops = await Promise.all(people.map(async ({ name, token }) => await service.call('PUT', `/v1/devices/${name}/privacy`, { token, body: { product_analytics: 'denied', diagnostics: 'denied' } })))
  t.same([...new Set(stops.map(({ status }) => status))], [200])
  await eventually('all are hidden', async () => await all() === 0)
  t.equal(await stored('dan'), 1)
  const certificates = async (): Promise<Array<Record<string, any>>> =>
    (await service.sql<{ certificate: string }>("SELECT certificate FROM erasures FINAL WHERE certificate IS NOT NULL AND startsWith(assumeNotNull(device_id), 'crowd-')")).map(({ certificate }) => JSON.parse(certificate) as never)
  await eventually('each is certified', async () => (await certificates()).length === 300)
  for (const { subject, purpose, tables } of await certificates()) {
    const index = Number(/[0-9]+$/.exec(subject.device_id)?.[0])
    t.match(tables, [{ table: 'events', rows_before: purpose === 'product_analytics' ? 1 + index % 3 : 0, rows_after: 0 }, {}], subject.device_id)
  }
  await balances()
})

t.test('what has left the queue leaves the append-only file of Redis too', async t => {
  // The one that the first erasures asked for is over; the next is allowed once some minutes have passed.
  await service.restart()
  const dir = join(service.dataDir, 'redis', 'appendonlydir')
  const holds = async (text: string): Promise<boolean> => (await Promise.all((await readdir(dir)).map(async name => await readFile(join(dir, name), 'latin1').catch(() => '')))).some(held => held.includes(text))
  const token = await service.token({ sub: 'eve' })
  service.service.writer?.pause()
  await deliver(token, makeBatch({ events: [makeEvent(heartbeat)] }))
  let job: string | undefined
  await eventually('the writer has it', async () => { [job] = await service.redis.lrange('{assent}:events:active', 0, -1); return job !== undefined })
  const { bodies } = JSON.parse(await service.redis.hget(`{assent}:events:${job!}`, 'data') ?? '') as { bodies: string }
  service.service.writer?.resume()
  await eventually('it is stored', async () => await stored('eve') === 1)
  t.equal(await holds(bodies), true)
  const erasure = await eraseFor(service, { account_id: 'eve', reason: 'a letter' })
  const { kept } = await certificateOf(service, erasure.body.id)
  await eventually('it is written anew', async () => !await holds(bodies))
  t.ok(kept.some(({ table }: { table: string }) => table === 'append-only file of Redis'), 'where that is forbidden, the certificate has said it')
})
