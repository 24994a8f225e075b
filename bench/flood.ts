/**
 * Clients that take no hint, in a process of their own: each has a connection and a batch to send every so often, and
 * sends the next as soon as it is due and the one before is answered, whatever the answer was. Prints what became of them.
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from './figures.ts'
import { makeBatchTexts } from './traffic.ts'

export interface FloodOptions {
  url: string
  token: string
  clients: number
  /** Of all clients together. */
  perSecond: number
  seconds: number
}

export interface Flooded {
  acceptedPerSecond: number
  refusedPerSecond: number
  /** From the moment a batch was sent; 0 where there is none. */
  acceptedP99Ms: number
  refusedP99Ms: number
  /** What sending took, in cores. */
  cores: number
}

const { url, token, clients, perSecond, seconds } = JSON.parse(process.argv[2] ?? '') as FloodOptions
const { host, hostname, port } = new URL(url)
const requests = makeBatchTexts(40).map(body => Buffer.from([
  'POST /v1/events HTTP/1.1', `Host: ${host}`, `Authorization: Bearer ${token}`, 'Content-Type: application/json', `Content-Length: ${String(Buffer.byteLength(body))}`, '', body
].join('\r\n')))
const everyMs = clients * 1000 / perSecond
const accepted: number[] = []
const refused: number[] = []

function flood (index: number): () => void {
  const socket = connect(Number(port), hostname)
  let due = performance.now() + index / clients * everyMs
  let sentAt = 0
  let answer = ''
  let sent = index
  let ended = false
  const send = (): void => {
    if (ended) return
    sentAt = performance.now()
    socket.write(requests[sent++ % requests.length]!)
    due += everyMs
  }
  const wait = (): void => {
    const waitMs = due - performance.now()
    if (waitMs <= 0) send()
    else setTimeout(send, waitMs)
  }
  socket.setNoDelay(true)
  socket.once('connect', wait)
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    answer += text
    const head = answer.indexOf('\r\n\r\n')
    if (head < 0 || answer.length < head + 4 + Number(/content-length: (\d+)/i.exec(answer)?.[1])) return
    const status = answer.slice(9, 12)
    if (status !== '202' && status !== '503' && status !== '429') throw new Error(`a batch was answered ${status}`)
    ;(status === '202' ? accepted : refused).push(performance.now() - sentAt)
    answer = ''
    wait()
  })
  socket.once('close', () => { if (!ended) throw new Error('a connection was closed') })
  return () => { ended = true; socket.destroy() }
}

const ends = Array.from({ length: clients }, (_, index) => flood(index))
const { user, system } = process.cpuUsage()
const started = performance.now()
await sleep(seconds * 1000)
const took = (performance.now() - started) / 1000
const used = process.cpuUsage({ user, system })
for (const end of ends) end()
const flooded: Flooded = {
  acceptedPerSecond: accepted.length / took,
  refusedPerSecond: refused.length / took,
  acceptedP99Ms: percentile(accepted, 0.99) || 0,
  refusedP99Ms: percentile(refused, 0.99) || 0,
  cores: (used.user + used.system) / 1e6 / took
}
process.stdout.write(JSON.stringify(flooded))
