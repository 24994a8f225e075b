/** Sends requests as they are, over connections that are kept. */
import { Agent, request } from 'node:http'

export interface Sent { method: string, target: string, headers: Record<string, string>, body: Buffer | undefined }
export interface Received { status: number, headers: Record<string, string | string[] | undefined>, bytes: Buffer }

export interface Client {
  /** Rejects when no whole answer comes. */
  send: (url: string, sent: Sent, withinMs: number) => Promise<Received>
  close: () => void
}

export function makeClient (connectionsMax: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax })
  return {
    close: () => { agent.destroy() },
    send: async (url, { method, target, headers, body }, withinMs) => await new Promise((resolve, reject) => {
      const { hostname, port } = new URL(url)
      const length = body === undefined ? {} : { 'content-length': String(body.length) }
      const sending = request({ agent, hostname, port, method, path: target, headers: { ...headers, ...length }, signal: AbortSignal.timeout(withinMs) }, answer => {
        const pieces: Buffer[] = []
        answer.on('data', (piece: Buffer) => { pieces.push(piece) })
        answer.on('error', reject)
        answer.on('end', () => { resolve({ status: answer.statusCode ?? 0, headers: answer.headers, bytes: Buffer.concat(pieces) }) })
      })
      sending.on('error', reject)
      sending.end(body)
    })
  }
}
