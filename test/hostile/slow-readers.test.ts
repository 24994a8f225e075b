import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { makeFolder, startProcess } from '../start/process.ts'
import { head, openRaw, readAnswers, type RawConnection } from '../support/raw-http.ts'
import { eventually } from '../support/service.ts'

const service = await startProcess(t, { DATA_DIR: await makeFolder(t), RATE_LIMITS: 'off' })
const page = '/docs/static/swagger-ui-bundle.js'
const readers = 50

/** Asks for much and takes nothing of it. What the kernels hold on the way is not waited for. */
function readNothing (): RawConnection {
  const connection = openRaw(service.url, head(`GET ${page} HTTP/1.1`, 'Host: here').repeat(12))
  connection.socket.pause()
  t.teardown(() => { connection.socket.destroy() })
  return connection
}

async function openFiles (): Promise<number> {
  return Number(/^process_open_fds ([0-9]+)/m.exec(await (await fetch(`${service.url}/metrics`)).text())?.[1])
}

t.test('clients that take nothing of their answers are closed, one that takes it late is not', { timeout: 90_000 }, async t => {
  const before = await openFiles()
  const connections = Array.from({ length: readers }, readNothing)
  const late = openRaw(service.url, head(`GET ${page} HTTP/1.1`, 'Host: here', 'Connection: close'))
  late.socket.pause()
  await eventually('all are connected', async () => await openFiles() >= before + readers)
  await sleep(3000)
  late.socket.resume()
  t.match(readAnswers(await late.ended)[0], { status: 200 })
  await eventually('the service has let go of them', async () => await openFiles() < before + 5, 45_000)
  t.equal(connections.length, readers)
})
