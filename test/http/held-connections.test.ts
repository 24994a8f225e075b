import { once } from 'node:events'
import t from 'tap'
import { makeBatch, signIn } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { head, openRaw, readAnswers } from '../support/raw-http.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t, { INTAKE_BATCHES_MAX: '1', INTAKE_BYTES_MAX: '65536' })
const { url } = service.service
const ada = await signIn(service, 'ada', 'product_analytics')

function headOfBatch (length: number, token = ada.token): string {
  return head('POST /v1/events HTTP/1.1', 'Host: x', `Authorization: Bearer ${token}`, 'Content-Type: application/json', `Content-Length: ${String(length)}`)
}

function post (): string {
  const body = JSON.stringify(makeBatch())
  return headOfBatch(body.length) + body
}

async function metric (name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(text.split('\n').find(line => line.startsWith(`${name} `))?.slice(name.length) ?? 0)
}
const shed = async (): Promise<number> => await metric('assent_shed_requests_total{reason="batches-in-hand"}')

/** Takes all the room there is until Redis writes again. */
async function fill (ms: number): Promise<{ taken: Promise<number> }> {
  await service.redis.client('PAUSE', ms, 'WRITE')
  const taken = service.post(ada.token).then(({ status }) => status)
  for (let ask = 0; ask < 3; ask++) await service.call('GET', '/health/live')
  return { taken }
}

t.test('who is refused and comes again at once is not read until there is room, and is then let in', async t => {
  const before = await shed()
  const { taken } = await fill(500)
  const eager = openRaw(url, post())
  t.teardown(() => eager.socket.destroy())
  let received = String((await once(eager.socket, 'data'))[0])
  isProblem(t, readAnswers(received)[0]!, 503, 'unavailable', '/v1/events')
  eager.socket.on('data', data => { received += String(data) })
  eager.socket.write(post())
  await eventually('both are answered', async () => readAnswers(received).length === 2)
  t.same(readAnswers(received).map(({ status }) => status), [503, 202])
  t.equal(await shed(), before + 1, 'it was refused once')
  t.equal(await taken, 202)
})

t.test('who shares the connection of one that was refused waits as long as that was told to, and no longer', async t => {
  const slow = await Promise.all(Array.from({ length: 8 }, async (_, i) => openRaw(url, headOfBatch(10_000, (await signIn(service, `slow${String(i)}`)).token) + ' '.repeat(8192))))
  t.teardown(() => { for (const { socket } of slow) socket.destroy() })
  await eventually('there is no room', async () => await metric('assent_intake_in_hand_bytes') === 65_536)
  const shared = openRaw(url, post())
  t.teardown(() => shared.socket.destroy())
  let received = String((await once(shared.socket, 'data'))[0])
  t.equal(readAnswers(received)[0]?.status, 503)
  shared.socket.on('data', data => { received += String(data) })
  shared.socket.write(head('GET /v1/me/privacy HTTP/1.1', 'Host: x', `Authorization: Bearer ${ada.token}`))
  await eventually('the other request is answered', async () => readAnswers(received).length === 2)
  t.equal(readAnswers(received)[1]?.status, 200)
  t.equal((await service.post(ada.token)).status, 503, 'there is no room still')
  for (const { socket } of slow) socket.destroy()
  await eventually('there is room again', async () => (await service.post(ada.token)).status === 202)
})

t.test('a held connection that its client leaves is in nobody\'s way', async t => {
  const { taken } = await fill(800)
  for (let client = 0; client < 5; client++) {
    const gone = openRaw(url, post())
    await once(gone.socket, 'data')
    gone.socket.destroy()
  }
  t.equal(await taken, 202)
  t.equal((await service.post(ada.token)).status, 202)
})
