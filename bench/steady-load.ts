/** Batches at a fixed rate, whether or not the service keeps up. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Sooner than they are told to: a wait of a second would be most of what is measured. */
const retryMs = 50

export interface SteadyLoad { url: string, token: string, bodies: readonly string[], perSecond: number }

/**
 * Posts the bodies in turn until `until` settles; how long each took to its 202, in ms. The time of a batch counts from the
 * moment it was due, so that a stall is felt by all that it holds up; one that is refused for the load is sent again.
 * Requests are put together beforehand and written as they are: sending takes little of the cores that are measured.
 */
export async function postSteadily ({ url, token, bodies, perSecond }: SteadyLoad, until: Promise<unknown>): Promise<number[]> {
  const { host, hostname, port, pathname } = new URL(`${url}/v1/events`)
  const requests = bodies.map(body => Buffer.from([
    `POST ${pathname} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${token}`, 'Content-Type: application/json', `Content-Length: ${String(Buffer.byteLength(body))}`, '', body
  ].join('\r\n')))
  const idle: Connection[] = []
  const all: Connection[] = []
  const post = async (request: Buffer): Promise<void> => {
    for (;;) {
      let connection = idle.pop()
      if (connection === undefined) all.push(connection = openConnection(Number(port), hostname))
      const status = await connection.send(request)
      idle.push(connection)
      if (status === 202) return
      if (status !== 503) throw new Error(`a batch was answered ${String(status)}`)
      await sleep(retryMs)
    }
  }

  const answers: Array<Promise<number>> = []
  const ended = until.then(() => true, () => true)
  const started = performance.now()
  let failed: unknown
  do {
    const passedMs = performance.now() - started
    while (answers.length * 1000 / perSecond <= passedMs) {
      const due = started + answers.length * 1000 / perSecond
      const answer = post(requests[answers.length % requests.length]!).then(() => performance.now() - due)
      answer.catch((error: unknown) => { failed ??= error })
      answers.push(answer)
    }
  } while (failed === undefined && !await Promise.race([ended, sleep(1, false)]))
  const times = await Promise.all(answers)
  await until
  for (const connection of all) connection.close()
  return times
}

interface Connection {
  /** Resolves with the status of the answer. One request at a time. */
  send: (request: Buffer) => Promise<number>
  close: () => void
}

function openConnection (port: number, hostname: string): Connection {
  const socket: Socket = connect({ port, host: hostname, noDelay: true })
  let waiting: { answered: (status: number) => void, failed: (error: Error) => void } | undefined
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    answer += text
    const head = answer.indexOf('\r\n\r\n')
    if (head < 0 || answer.length < head + 4 + Number(/content-length: (\d+)/i.exec(answer)?.[1])) return
    const status = Number(answer.slice(9, 12))
    answer = ''
    waiting?.answered(status)
  })
  socket.on('error', error => { waiting?.failed(error) })
  socket.once('close', () => { waiting?.failed(new Error('a connection was closed')) })
  return {
    send: async request => await new Promise((answered, failed) => {
      waiting = { answered, failed }
      socket.write(request)
    }),
    close () {
      waiting = undefined
      socket.destroy()
    }
  }
}
