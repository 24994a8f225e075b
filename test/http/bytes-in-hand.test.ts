import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { heartbeat, makeBatch, makeEvent, signIn, type Answer } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { head, openRaw, readAnswers, type RawConnection } from '../support/raw-http.ts'
import { eventually, startTestService, type TestService } from '../support/service.ts'

const service = await startTestService(t, { INTAKE_BYTES_MAX: '65536', INTAKE_BATCHES_MAX: '2' })
const { url } = service.service
const ada = await signIn(service, 'ada', 'product_analytics')

function headOf (length: number, type = 'application/json', ...more: string[]): string {
  return head('POST /v1/events HTTP/1.1', 'Host: x', `Authorization: Bearer ${ada.token}`, `Content-Type: ${type}`, `Content-Length: ${String(length)}`, ...more)
}

/** Sends a part of a body of 100,000 bytes, and stays. */
function begin (t: Test, bytes: number, type?: string): RawConnection {
  const connection = openRaw(url, headOf(100_000, type) + ' '.repeat(bytes))
  t.teardown(() => connection.socket.destroy())
  return connection
}

async function inHand ({ service }: TestService): Promise<{ bytes: number, batches: number }> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  const [bytes, batches] = ['bytes', 'batches'].map(what => Number(new RegExp(`^assent_intake_in_hand_${what} (.*)$`, 'm').exec(text)?.[1]))
  return { bytes: bytes!, batches: batches! }
}

async function holds (bytes: number): Promise<void> {
  await eventually(`${String(bytes)} bytes are in hand`, async () => (await inHand(service)).bytes === bytes)
}

async function nothingInHand (): Promise<void> {
  await eventually('nothing is in hand', async () => {
    const { bytes, batches } = await inHand(service)
    return bytes === 0 && batches === 0
  })
}

t.test('a body that there is no room for is refused while it is sent, and its connection goes on', async t => {
  const first = begin(t, 60_000)
  await holds(60_000)
  const second = begin(t, 30_000)
  const [refusal] = await once(second.socket, 'data') as [string]
  isProblem(t, readAnswers(refusal)[0]!, 503, 'unavailable', '/v1/events')
  await holds(60_000)
  t.match(await (await fetch(`${url}/metrics`)).text(), /^assent_shed_requests_total\{reason="bytes-in-hand"\} 1$/m)

  second.socket.write(' '.repeat(70_000) + head('GET /health/live HTTP/1.1', 'Host: x', 'Connection: close'))
  t.same(readAnswers(await second.ended).map(({ status }) => status), [503, 200])
  t.notOk(first.socket.destroyed, 'who was let in is not touched by it')
  first.socket.write(' '.repeat(5000))
  await holds(65_000)
  first.socket.destroy()
  await nothingInHand()
  t.equal((await service.post(ada.token)).status, 202)
})

t.test('bodies that nobody reads are in nobody\'s way', async t => {
  begin(t, 60_000)
  await holds(60_000)
  const other = begin(t, 60_000, 'text/plain')
  const [refusal] = await once(other.socket, 'data') as [string]
  t.equal(readAnswers(refusal)[0]?.status, 415)
  t.equal((await service.call('GET', '/health/live')).status, 200)
})

t.test('what a client left behind is let go', async t => {
  await nothingInHand()
  const half = begin(t, 20_000)
  await holds(20_000)
  half.socket.destroy()
  await nothingInHand()

  const body = JSON.stringify(makeBatch())
  await service.redis.client('PAUSE', 1500, 'WRITE')
  // The second waits behind the first, for a connection that will never be its own.
  const whole = openRaw(url, headOf(body.length) + body + headOf(body.length) + body)
  await once(whole.socket, 'connect')
  const attend = async (): Promise<void> => { for (let ask = 0; ask < 3; ask++) await service.call('GET', '/health/live') }
  await attend()
  // Each on a connection of its own: one that was refused is not read for a while.
  const refused = async (): Promise<number | undefined> => readAnswers(String((await once(openRaw(url, headOf(body.length) + body).socket, 'data'))[0]))[0]?.status
  t.equal(await refused(), 503, 'both are in hand')
  whole.socket.destroy()
  await attend()
  t.equal(await refused(), 503, 'for as long as the service works on them')
  await nothingInHand()
})

t.test('what a body becomes when it is inflated is counted, and one that is alone is taken', async t => {
  const packed = gzipSync(JSON.stringify(makeBatch({ events: Array.from({ length: 600 }, () => makeEvent(heartbeat)) })))
  const post = async (): Promise<Answer> => await service.call('POST', '/v1/events', { token: ada.token, body: packed, headers: { 'content-encoding': 'gzip' } })
  t.ok(packed.length < 40_000, `${String(packed.length)} bytes`)
  t.equal((await post()).status, 202)
  await nothingInHand()
  await service.redis.client('PAUSE', 1000, 'ALL')
  const answers = await Promise.all([post(), post()])
  t.same(answers.map(({ status }) => status).sort(), [202, 503], 'of two there is room for one')
  await nothingInHand()
})

t.test('what was answered is let go, one batch after another on one connection', async t => {
  for (let batch = 0; batch < 20; batch++) t.equal((await service.post(ada.token)).status, 202)
  await nothingInHand()
})

t.test('one subject that is slow leaves room for the others', async t => {
  await service.service.close()
  const other = await startTestService(t, { INTAKE_BYTES_MAX: '800000', BATCH_BYTES_MAX: '100000' })
  const [eve, bob] = [await signIn(other, 'eve'), await signIn(other, 'bob')]
  const slow = (bytes: number): RawConnection => {
    const lines = ['POST /v1/events HTTP/1.1', 'Host: x', `Authorization: Bearer ${eve.token}`, 'Content-Type: application/json', 'Content-Length: 100000']
    const connection = openRaw(other.service.url, head(...lines) + ' '.repeat(bytes))
    t.teardown(() => connection.socket.destroy())
    return connection
  }
  const first = slow(60_000)
  await eventually('the first is in hand', async () => (await inHand(other)).bytes === 60_000)
  const [refusal] = await once(slow(60_000).socket, 'data') as [string]
  isProblem(t, readAnswers(refusal)[0]!, 429, 'rate-limited', '/v1/events')
  t.equal((await other.post(bob.token)).status, 202)
  first.socket.destroy()
  await eventually('it is let go', async () => (await other.post(eve.token)).status === 202 && (await inHand(other)).bytes === 0)
})

t.test('one that is alone of its subject may be larger than that may have, and not than there is room for', async t => {
  const narrow = await startTestService(t, { INTAKE_BYTES_MAX: '150000', BATCH_BYTES_MAX: '50000' })
  const packed = gzipSync(JSON.stringify(makeBatch({ events: Array.from({ length: 600 }, () => makeEvent(heartbeat)) })))
  const [eve, bob] = [await signIn(narrow, 'eve'), await signIn(narrow, 'bob')]
  const post = async ({ token }: { token: string }): Promise<Answer> => await narrow.call('POST', '/v1/events', { token, body: packed, headers: { 'content-encoding': 'gzip' } })
  t.equal((await post(eve)).status, 202)
  await narrow.redis.client('PAUSE', 1000, 'ALL')
  t.same((await Promise.all([post(eve), post(bob)])).map(({ status }) => status).sort(), [202, 503])
})
