import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { heartbeat, makeEvent } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { head, openRaw, readAnswers, sendRaw, type RawAnswer, type RawConnection } from '../support/raw-http.ts'
import { makeFolder, startProcess } from '../start/process.ts'

const service = await startProcess(t, { DATA_DIR: await makeFolder(t), RATE_LIMITS: 'off', UV_THREADPOOL_SIZE: '16' })
const token = await service.token({ sub: 'ada', device_id: 'pc-1' })
const ofEach = 700
/** Far longer than any of them may stay. */
const withinMs = 45_000

const post = head('POST /v1/events HTTP/1.1', 'Host: here', `Authorization: Bearer ${token}`, 'Content-Type: application/json', 'Content-Length: 1000')

/** Sends a byte a second, for as long as the service listens. */
function drip ({ socket, ended }: RawConnection): void {
  const dripping = setInterval(() => { socket.write('a') }, 1000)
  void ended.finally(() => { clearInterval(dripping) })
}

/** In waves that the kernel can queue: what it drops of more, a client that sends nothing would take for a connection. */
async function openMany (text: string): Promise<RawConnection[]> {
  const opened: RawConnection[] = []
  while (opened.length < ofEach) {
    opened.push(...Array.from({ length: 50 }, () => openRaw(service.url, text)))
    await sendRaw(service.url, head('GET /health/live HTTP/1.1', 'Host: here', 'Connection: close'), withinMs) // It was behind them.
  }
  return opened
}

/** What each was answered; nothing where a byte that it sent crossed the close, which resets a connection before it is read. */
async function readAll (connections: RawConnection[]): Promise<Array<RawAnswer | undefined>> {
  return await Promise.all(connections.map(async ({ ended }) => readAnswers(await ended)[0]))
}

t.test('2,000 clients that send next to nothing are closed, and no other client suffers', { timeout: 120_000 }, async t => {
  const slowHeads = await openMany('GET /health/live HTTP/1.1\r\nHost: here\r\nX-Slow: ')
  const slowBodies = await openMany(post)
  for (const connection of [...slowHeads, ...slowBodies]) drip(connection)
  const idle = await openMany('')
  t.teardown(() => { for (const { socket } of [...slowHeads, ...slowBodies, ...idle]) socket.destroy() })

  for (let sent = 0; sent < 100; sent++) {
    const { status } = await service.post(token, { events: [makeEvent(heartbeat)] })
    if (status !== 202) t.fail(`a batch is answered ${String(status)}`)
  }
  t.equal((await service.call('GET', '/health/ready')).status, 200)

  const closed = await Promise.race([Promise.all([slowHeads, slowBodies, idle].map(readAll)), sleep(withinMs, undefined, { ref: false })])
  if (closed === undefined) throw new Error('some were still open')
  for (const [kind, answers] of closed.entries()) {
    const answered = answers.filter(answer => answer !== undefined)
    for (const { status } of answered) if (status !== 408) t.fail(`a slow client was answered ${String(status)}`)
    t.ok(answered.length > ofEach / 2, `${String(answered.length)} of ${String(ofEach)} could read why`)
    isProblem(t, answered[0]!, 408, 'request-timeout', '')
    if (kind === closed.length - 1) t.equal(answered.length, ofEach, 'who sends nothing always can')
  }
  t.match((await service.call('GET', '/health/live')).body, { live: true })
})
