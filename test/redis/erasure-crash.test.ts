import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { makeBatch, makeEvent, heartbeat, fates, signIn } from '../support/api.ts'
import { accountRef, certificateOf, eraseFor, eraseMe, knownKey } from '../support/erasure.ts'
import { eventually } from '../support/service.ts'
import { makeFolder, startProcess } from '../start/process.ts'

t.setTimeout(300_000)

t.test('however often the service is killed, what was erased is gone, stays out, and is certified', async t => {
  const environment = { ...knownKey, DATA_DIR: await makeFolder(t), RATE_LIMITS: 'off' }
  let service = await startProcess(t, environment)
  for (const [index, waitMs] of [0, 30, 120, 250, 400, 700].entries()) {
    const name = `ada-${String(index)}`
    const ada = await signIn(service, name, 'product_analytics')
    const batches = Array.from({ length: 5 }, () => makeBatch({ events: [makeEvent(), makeEvent(heartbeat)] }))
    for (const body of batches) t.equal((await service.call('POST', '/v1/events', { token: ada.token, body })).status, 202)
    const asked = await (index % 2 === 0 ? eraseMe(service, ada) : eraseFor(service, { account_id: name, reason: 'a letter' }))
    t.equal(asked.status, 202)
    await sleep(waitMs) // Anywhere in it.
    await service.end('SIGKILL')
    service = await startProcess(t, environment)

    const { tables } = await certificateOf(service, asked.body['id'] as string)
    t.match(tables, [{ rows_after: 0 }, { rows_after: 0 }])
    for (const body of batches) t.same(fates(await service.call('POST', '/v1/events', { token: ada.token, body }), body['events'] as Array<Record<string, unknown>>), ['erased', 'erased'], `killed after ${String(waitMs)} ms`)
    const later = [makeEvent(), makeEvent(heartbeat)]
    t.same(fates(await service.post(ada.token, { events: later }), later), ['accepted', 'accepted'])
    await eventually('what is new is stored', async () => (await service.sql(`SELECT 1 FROM events_v WHERE account_ref = '${accountRef(name)}'`)).length === 2)
  }
  t.equal((await service.end('SIGTERM')).code, 0)
})
