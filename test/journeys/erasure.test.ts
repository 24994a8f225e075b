import { compactVerify, createLocalJWKSet, type JWK } from 'jose'
import t from 'tap'
import { accountRef, certificateOf, deviceRef, eraseFor, eraseMe, findErasure, knownKey, openFiles } from '../support/erasure.ts'
import { fates, heartbeat, makeBatch, makeEvent, signIn, type Answer, type Person } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t, knownKey)
const inFiles = await openFiles(t, service)

const of = (name: string): string => `account_ref = '${accountRef(name)}'`
const stored = async (count: number, where: string): Promise<void> => { await eventually(`${String(count)} are stored`, async () => await service.count(`events_v WHERE ${where}`) === count) }
const restOf = async (person: Person): Promise<number[]> => [await service.count(`events_v WHERE ${of(person.deviceId.slice(3))}`), await inFiles('events', of(person.deviceId.slice(3)))]
const emptied = async (): Promise<void> => { await eventually('the queue is empty', async () => (await service.call('GET', '/health/ready')).body['pending'] === 0) }
const dropsAtWrite = async (): Promise<number> => Number((await service.sql<{ n: string | null }>("SELECT sum(count) AS n FROM consent_decisions_v WHERE reason = 'erased' AND stage = 'write'"))[0]?.n ?? 0)

t.test('what a person sent is gone from the tables, and nobody else\'s is', async t => {
  const [ada, bob] = [await signIn(service, 'ada', 'product_analytics'), await signIn(service, 'bob', 'product_analytics')]
  for (let batch = 0; batch < 3; batch++) await service.post(ada.token, { events: [makeEvent(), makeEvent(), makeEvent(heartbeat)] })
  await service.post(bob.token)
  await stored(9, of('ada'))
  await stored(1, of('bob'))

  const asked = await eraseMe(service, ada)
  t.match(asked, { status: 202, body: { id: String, status: 'waiting', requested_at: /Z$/ } })
  const certificate = await certificateOf(service, asked.body['id'] as string)
  t.same(await restOf(ada), [0, 0], 'neither to be read nor in the files')
  t.same(await restOf(bob), [1, 1])
  t.match(certificate, {
    id: asked.body['id'], subject: { account_id: 'ada' }, requested_by: 'person', requested_at: asked.body['requested_at'], erased_until: asked.body['requested_at'],
    tables: [{ table: 'events', rows_before: 9, rows_after: 0 }, { table: 'failed_events', rows_before: 0, rows_after: 0 }],
    queue: { batches: 0, events_removed: 0 }, dead_letters: { batches: 0, events_removed: 0 }, devices_forgotten: 1
  })
  t.ok(certificate['completed_at'] >= certificate['requested_at'])
  const { signature, ...unsigned } = certificate
  const { payload, protectedHeader } = await compactVerify(signature as string, createLocalJWKSet((await service.call<{ keys: JWK[] }>('GET', '/.well-known/jwks.json')).body))
  t.same(JSON.parse(new TextDecoder().decode(payload)), unsigned)
  t.equal(protectedHeader.typ, 'erasure-certificate+jws')
  t.same(certificate['kept'].map(({ table }: { table: string }) => table).slice(0, 4), ['consent_ledger', 'erasures', 'security_events', 'access_log'])

  const settings = await service.call('GET', '/v1/me/privacy', { token: ada.token })
  t.match(settings.body, { account: { product_analytics: { state: 'granted' } }, devices: [] }, 'the choices stay, the devices are forgotten')
  t.equal((await service.call('GET', '/v1/me/privacy/history', { token: ada.token })).body['entries'].length, 1)
})

t.test('it can be seen how far it is, by the person and the team, and by no other person', async t => {
  const [cora, dan] = [await signIn(service, 'cora'), await signIn(service, 'dan')]
  service.service.writer?.pause()
  await service.post(cora.token, { events: [makeEvent(heartbeat)] })
  const { body: { id } } = await eraseMe(service, cora)
  const own = async (person: Person): Promise<Answer> => await service.call('GET', `/v1/me/erasure/${String(id)}`, { token: person.token })
  await eventually('the batch is found', async () => (await own(cora)).body['progress'].queue.remaining === 1)
  t.match((await own(cora)).body, { id, status: 'waiting', subject: { account_id: 'cora' }, progress: { rows_found: { events: 0 }, hidden: true, queue: { found: 1, remaining: 1 } }, certificate: undefined })
  t.match(await own(dan), { status: 404, body: { type: '/problems/not-found' } })
  await certificateOf(service, (await eraseMe(service, dan)).body['id'] as string) // It holds up no other.
  t.equal((await own(cora)).body['status'], 'waiting')
  service.service.writer?.resume()
  await certificateOf(service, id)
  const { body } = await own(cora)
  t.match(body, { status: 'done', certificate: { id } })
  t.same(body, (await findErasure(service, id)).body)
  t.match(await own(dan), { status: 404 })
})

t.test('the same old batch delivered late stays out, required events too; what is captured later is kept', async t => {
  const eve = await signIn(service, 'eve', 'product_analytics')
  const events = [makeEvent(), makeEvent(heartbeat)]
  const batch = makeBatch({ events })
  await service.call('POST', '/v1/events', { token: eve.token, body: batch })
  await stored(2, of('eve'))
  await certificateOf(service, (await eraseMe(service, eve)).body['id'] as string)

  for (const again of [batch, makeBatch({ events })]) {
    const answer = await service.call('POST', '/v1/events', { token: eve.token, body: again })
    t.match(answer, { status: 202, body: { accepted: 0, dropped: 2 } })
    t.same(fates(answer, events), ['erased', 'erased'])
  }
  const later = [makeEvent(), makeEvent(heartbeat)]
  t.same(fates(await service.post(eve.token, { events: later }), later), ['accepted', 'accepted'])
  await stored(2, of('eve'))
  t.same(await restOf(eve), [2, 2])
})

t.test('what waits in the queue is never stored, and is counted', async t => {
  const finn = await signIn(service, 'finn', 'product_analytics')
  const before = await dropsAtWrite()
  service.service.writer?.pause()
  for (let batch = 0; batch < 3; batch++) await service.post(finn.token, { events: [makeEvent(), makeEvent(heartbeat)] })
  const gil = await signIn(service, 'gil', 'product_analytics')
  await service.post(gil.token)
  const { body: { id } } = await eraseMe(service, finn)
  await eventually('they are found', async () => (await findErasure(service, id)).body['progress'].queue.found === 3)
  service.service.writer?.resume()
  t.match(await certificateOf(service, id), { tables: [{ rows_before: 0 }, {}], queue: { batches: 3, events_removed: 6 }, dead_letters: { batches: 0, events_removed: 0 } })
  await emptied()
  t.same(await restOf(finn), [0, 0])
  t.equal(await dropsAtWrite() - before, 6)
  await stored(1, of('gil'))
})

t.test('batches that were given up are erased with the rest, and the books still balance', async t => {
  const hal = await signIn(service, 'hal', 'product_analytics')
  const before = await dropsAtWrite()
  service.service.writer?.pause()
  await service.post(hal.token, { events: [makeEvent(), makeEvent(heartbeat), makeEvent(heartbeat)] })
  let job: string | undefined
  await eventually('the writer has it', async () => { job = (await service.redis.lrange('{assent}:events:active', 0, -1))[0]; return job !== undefined })
  // As a batch stands that has ended its process too often.
  await service.redis.multi().lrem('{assent}:events:active', 0, job!).zadd('{assent}:events:failed', Date.now(), job!).del(`{assent}:events:${job!}:lock`).exec()
  const { body: { id } } = await eraseMe(service, hal)
  t.match(await certificateOf(service, id), { queue: { batches: 0, events_removed: 0 }, dead_letters: { batches: 1, events_removed: 3 } })
  t.equal(await dropsAtWrite() - before, 3)
  t.equal(await service.redis.exists(`{assent}:events:${job!}`), 0)
  service.service.writer?.resume()
  await emptied()
  t.same(await restOf(hal), [0, 0])
})

t.test('a row that was set aside is erased too', async t => {
  const row = (captured: unknown): string => JSON.stringify(['e', 'command.run', 1, 'cad', 2026, '', accountRef('ida'), '', captured, captured, 1, 'product_analytics', '', null, '{}', 'b'])
  await service.post(await service.token({ sub: 'ida' }), { events: [makeEvent(heartbeat)] })
  await stored(1, of('ida'))
  await addFailed([['ida', row(1)], ['ida', row('unreadable')], ['ida', row(Date.now() + 3_600_000)], ['jon', row(1)]])
  t.equal(await inFiles('failed_events', of('ida')), 3)
  const { body: { id } } = await eraseFor(service, { account_id: 'ida', reason: 'a letter' })
  t.match(await certificateOf(service, id), { requested_by: 'team', reason: 'a letter', tables: [{ table: 'events', rows_before: 1, rows_after: 0 }, { table: 'failed_events', rows_before: 2, rows_after: 0 }] })
  t.same([await inFiles('failed_events', of('ida')), await inFiles('failed_events', of('jon'))], [1, 1], 'what is captured later stays, and so does what is another\'s')
})

t.test('erasing a device covers whoever used it, signed in or not, and its account elsewhere is left alone', async t => {
  const sharing = async (sub: string | undefined, device: string): Promise<string> => await service.token({ ...(sub === undefined ? {} : { sub }), device_id: device })
  const tokens = [await sharing('kim', 'shared'), await sharing('lou', 'shared'), await sharing('device:shared', 'shared'), await sharing('kim', 'own')]
  const old = makeEvent(heartbeat)
  for (const token of tokens) await service.post(token, { events: [makeEvent(heartbeat)] })
  await service.post(tokens[2]!, { events: [old] })
  const onDevice = (id: string): string => `device_ref = '${deviceRef(id)}'`
  await stored(4, onDevice('shared'))
  await stored(1, onDevice('own'))
  const { body: { id } } = await eraseFor(service, { device_id: 'shared', reason: 'sold' })
  t.match(await certificateOf(service, id), { subject: { device_id: 'shared' }, tables: [{ rows_before: 4, rows_after: 0 }, {}] })
  t.same([await inFiles('events', onDevice('shared')), await inFiles('events', onDevice('own'))], [0, 1])
  for (const token of tokens.slice(0, 3)) t.same(fates(await service.post(token, { events: [old] }), [old]), ['erased'])
  const later = makeEvent(heartbeat)
  t.same(fates(await service.post(tokens[0]!, { events: [later] }), [later]), ['accepted'])
})

t.test('raced with intake, nothing from before is left and nothing from after is lost', async t => {
  const max = await signIn(service, 'max', 'product_analytics')
  const sent: Array<{ at: number, id: string, accepted: boolean }> = []
  let posting = true
  const clients = Promise.all(Array.from({ length: 6 }, async () => {
    while (posting) {
      const events = [makeEvent(), makeEvent(heartbeat)]
      const told = fates(await service.post(max.token, { events }), events)
      events.forEach((event, index) => sent.push({ at: Date.parse(event['occurred_at'] as string), id: event['id'] as string, accepted: told[index] === 'accepted' }))
    }
  }))
  await eventually('there is a load', async () => sent.length > 200)
  const ids = [(await eraseMe(service, max)).body['id'] as string, (await eraseFor(service, { account_id: 'max', reason: 'once more' })).body['id'] as string]
  const certificates = await Promise.all(ids.map(async id => await certificateOf(service, id)))
  posting = false
  await clients
  await emptied()
  const until = Date.parse(certificates[1]!['erased_until'])
  t.ok(until > Date.parse(certificates[0]!['erased_until']), 'a second one reaches further')
  t.equal(await inFiles('events', `${of('max')} AND toUnixTimestamp64Milli(captured_at) <= ${String(until)}`), 0)
  const rows = new Set((await service.sql<{ event_id: string }>(`SELECT event_id FROM events_v WHERE ${of('max')}`)).map(({ event_id: id }) => id))
  // The clock of these clients is the service's, so what occurred later was captured later.
  t.same(sent.filter(({ at, id, accepted }) => at > until && accepted && !rows.has(id)), [])
  t.ok(rows.size > 0)
})

t.test('its certificate is there for good', async t => {
  const nora = await signIn(service, 'nora', 'product_analytics')
  await service.post(nora.token)
  await stored(1, of('nora'))
  const { body: { id } } = await eraseMe(service, nora)
  const certificate = await certificateOf(service, id)
  await service.redis.del(...await service.redis.keys(`assent:*:erasure:${String(id)}`))
  const { status, body } = await findErasure(service, id)
  t.match({ status, body }, { status: 200, body: { status: 'done' } }, 'when Redis has forgotten it')
  t.same(body['certificate'], certificate)
  t.match(await findErasure(service, `${(Number.parseInt(String(id)[0]!, 16) ^ 1).toString(16)}${String(id).slice(1)}`), { status: 404 })
})

async function addFailed (rows: Array<[account: string, row: string]>): Promise<void> {
  const { client, close } = await (await import('../../src/clickhouse/client.ts')).openEmbedded(`${service.dataDir}/clickhouse`)
  await client.insert({
    table: 'failed_events', format: 'JSONEachRow',
    values: rows.map(([account, row], index) => ({ request_id: crypto.randomUUID(), event_id: String(index), name: 'command.run', account_ref: accountRef(account), device_ref: '', reason: 'clickhouse_27', row }))
  })
  await close()
}
