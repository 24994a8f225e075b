/** Bytes on a socket, as no HTTP client would send them. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from './api.ts'

export interface RawAnswer extends Answer { text: string }

export interface RawConnection {
  socket: Socket
  /** Everything that came back until the server closed. */
  ended: Promise<string>
}

/** Sends a text (one character, one byte) and leaves the connection open. */
export function openRaw (url: string, text: string): RawConnection {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let received = ''
  socket.setEncoding('latin1').on('data', data => { received += String(data) })
  socket.on('error', () => {}) // A server that closes early may reset the connection.
  const ended = new Promise<string>(resolve => { socket.on('close', () => { resolve(received) }) })
  socket.write(text, 'latin1')
  return { socket, ended }
}

/** Sends a text and waits until the server has closed; fails loudly when it does not. */
export async function sendRaw (url: string, text: string, withinMs = 5000): Promise<RawAnswer[]> {
  const { socket, ended } = openRaw(url, text)
  const answer = await Promise.race([ended, sleep(withinMs, undefined, { ref: false })])
  socket.destroy()
  if (answer === undefined) throw new Error(`the connection was still open after ${String(withinMs)} ms`)
  return readAnswers(answer)
}

/** Lines of a request's head, ended as HTTP wants it. */
export function head (...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** The answers in a stream of them, each with a Content-Length or none. */
export function readAnswers (stream: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let rest = stream; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n')
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n')
    const headers = new Headers(lines.map(line => line.split(/: ?(.*)/s, 2) as [string, string]))
    const length = Number(headers.get('content-length') ?? 0)
    const text = Buffer.from(rest.slice(end + 4, end + 4 + length), 'latin1').toString()
    const isJson = /json/.test(headers.get('content-type') ?? '')
    answers.push({ status: Number(statusLine.split(' ')[1]), headers, text, body: isJson && text !== '' ? JSON.parse(text) as Record<string, unknown> : {} })
    rest = rest.slice(end + 4 + length)
  }
  return answers
}
