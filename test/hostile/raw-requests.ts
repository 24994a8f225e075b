/** Requests as bytes on a socket, with a few of the bytes changed: what no client of HTTP would send. */
import { connect } from 'node:net'
import fc from 'fast-check'
import { heartbeat, makeBatch, makeEvent } from '../support/api.ts'
import { innards } from '../support/problems.ts'
import { readAnswers } from '../support/raw-http.ts'

/** Tries to be stored without being authorised: its id must never be seen again. */
const body = (id: string): string => JSON.stringify(makeBatch({ events: [makeEvent({ ...heartbeat, id })] }))

const heads: ReadonlyArray<(length: number) => string[]> = [
  () => ['GET /health/live HTTP/1.1', 'Host: here'],
  () => ['GET /v1/catalog HTTP/1.1', 'Host: here', 'Accept: application/json', 'User-Agent: cad/26'],
  () => ['GET /v1/consent?product=cad&release=2026 HTTP/1.1', 'Host: here', 'Authorization: Bearer x.y.z'],
  length => ['POST /v1/events HTTP/1.1', 'Host: here', 'Content-Type: application/json', `Content-Length: ${String(length)}`],
  length => ['POST /v1/events HTTP/1.1', 'Host: here', 'Authorization: Bearer x', 'Content-Type: application/json', `Content-Length: ${String(length)}`, 'Transfer-Encoding: chunked'],
  () => ['POST /v1/events HTTP/1.1', 'Host: here', 'Content-Type: application/json', 'Transfer-Encoding: chunked'],
  () => ['OPTIONS * HTTP/1.1', 'Host: here'],
  () => ['GET http://elsewhere.example/health/live HTTP/1.1', 'Host: here'],
  () => ['PATCH /v1/me/privacy HTTP/1.0', 'Host: here']
]

const oddBytes: readonly string[] = [
  '\0', '\r', '\n', '\r\n', '\r\n\r\n', ' ', '\t', ':', ' :', '\u00ff', '\u0080', '\u001b', '\u007f', '%', '//', '/../', '?', '#', '\r\n ', 'Host: there\r\n', 'Content-Length: 0\r\n', 'Content-Length: 5, 5\r\n', 'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n', 'Transfer-Encoding:\u000bchunked\r\n', 'Expect: 100-continue\r\n', 'Expect: x\r\n', 'Connection: keep-alive, x\r\n', 'Upgrade: websocket\r\n', 'Authorization: Bearer y\r\n', 'HTTP/1.1', 'x'.repeat(17_000), 'A: b\r\n'.repeat(150)
]

type Change = (text: string) => string
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(), fc.constantFrom(...oddBytes)).map(([at, odd]) => (text: string) => text.slice(0, at % (text.length + 1)) + odd + text.slice(at % (text.length + 1))),
  fc.tuple(fc.nat(), fc.nat({ max: 255 })).map(([at, byte]) => (text: string) => text.slice(0, at % text.length) + String.fromCharCode(byte) + text.slice(at % text.length + 1)),
  fc.tuple(fc.nat(), fc.nat({ max: 30 })).map(([at, count]) => (text: string) => text.slice(0, at % text.length) + text.slice(at % text.length + count)),
  fc.constantFrom<Change>(text => text.replaceAll('\r\n', '\n'), text => text.toLowerCase(), text => text + text, text => text.slice(0, text.length / 2))
)

/** Of one character per byte. `id`: of the event that is in it. */
export const rawRequest: fc.Arbitrary<(id: string) => string> = fc.tuple(fc.constantFrom(...heads), fc.array(change, { maxLength: 3 })).map(([head, changes]) => id => {
  const content = body(id)
  const lines = head(content.length)
  const isChunked = lines.at(-1) === 'Transfer-Encoding: chunked'
  const sent = lines[0]!.startsWith('POST') ? isChunked ? `${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n` : content : ''
  return changes.reduce((text, one) => one(text), `${lines.join('\r\n')}\r\nConnection: close\r\n\r\n${sent}`)
})

/** Sends the bytes, says that there are no more, and resolves with what is wrong with what came back. */
export async function judgeRaw (url: string, text: string, withinMs: number): Promise<string[]> {
  const { hostname, port } = new URL(url)
  const received = await new Promise<string | undefined>(resolve => {
    const socket = connect(Number(port), hostname)
    let answer = ''
    socket.setEncoding('latin1').on('data', (piece: string) => { answer += piece })
    socket.on('error', () => {}) // Whoever closes early may reset the connection.
    socket.on('close', () => { resolve(answer) })
    setTimeout(() => { resolve(undefined); socket.destroy() }, withinMs).unref()
    socket.end(text, 'latin1')
  })
  if (received === undefined) return ['is a connection that stays open']
  try {
    const answers = readAnswers(received)
    // What is left over after a whole request is another that is broken, and is told so.
    const isLeftOver = answers.at(-1)?.status === 400 && answers.at(-1)?.body['instance'] === ''
    const asked = (text.match(/HTTP\/1/gi)?.length ?? 0) + (isLeftOver ? 1 : 0)
    return [
      ...(answers.length > Math.max(1, asked) ? ['is more answers than there were requests'] : []),
      ...answers.flatMap(({ status, headers, body }) => {
        if (status < 400) return []
        const isProblem = /^application\/problem\+json/.test(headers.get('content-type') ?? '') && body['status'] === status && typeof body['type'] === 'string'
        return [...(status >= 500 || Number.isNaN(status) ? ['is a failure of the service'] : []), ...(isProblem ? [] : ['is no problem document']), ...(innards.test(JSON.stringify(body)) ? ['shows the words of a library'] : [])]
      })
    ]
  } catch {
    return ['cannot be read']
  }
}
