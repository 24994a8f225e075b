/** A mail server on a port of its own, which can be away; what it received is kept. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import type { Test } from 'tap'

export interface ReceivedLetter { from: string, recipients: string[], subject: string, text: string, html: string }

export interface MailServer {
  /** For SMTP_URL; the same however often it is started. */
  url: string
  letters: ReceivedLetter[]
  start: () => Promise<void>
  stop: () => Promise<void>
}

export async function startMailServer (t: Test): Promise<MailServer> {
  const letters: ReceivedLetter[] = []
  const listen = async (port: number): Promise<{ server: SMTPServer, port: number }> => {
    const server = new SMTPServer({
      authOptional: true,
      logger: false,
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      closeTimeout: 100,
      onData (stream, { envelope: { mailFrom, rcptTo } }, done) {
        let raw = ''
        stream.setEncoding('latin1')
        stream.on('data', (part: string) => { raw += part })
        stream.on('end', () => {
          letters.push({ from: mailFrom === false ? '' : mailFrom.address, recipients: rcptTo.map(({ address }) => address), ...readLetter(raw) })
          done()
        })
      }
    })
    server.on('error', () => {}) // A client that goes away is not the server's trouble.
    const socket = server.listen(port, '127.0.0.1')
    await once(socket, 'listening')
    return { server, port: (socket.address() as AddressInfo).port }
  }
  const first = await listen(0)
  let running: SMTPServer | undefined = first.server
  const stop = async (): Promise<void> => {
    const server = running
    running = undefined
    if (server !== undefined) await new Promise<void>(resolve => { server.close(resolve) })
  }
  t.teardown(stop)
  return {
    url: `smtp://127.0.0.1:${first.port}`,
    letters,
    async start () { running ??= (await listen(first.port)).server },
    stop
  }
}

interface Part { headers: Map<string, string>, body: string }

function readLetter (raw: string): Pick<ReceivedLetter, 'subject' | 'text' | 'html'> {
  const whole = readPart(raw)
  const boundary = /boundary="([^"]+)"/.exec(whole.headers.get('content-type') ?? '')?.[1] ?? 'no boundary'
  const parts = whole.body.split(`--${boundary}`).slice(1, -1).map(part => readPart(part.replace(/^\r\n/, '').replace(/\r\n$/, '')))
  const ofType = (type: string): string => parts.filter(({ headers }) => headers.get('content-type')?.startsWith(`${type}; charset=utf-8`)).map(decodeBody).join()
  return { subject: decodeWords(whole.headers.get('subject') ?? ''), text: ofType('text/plain'), html: ofType('text/html') }
}

function readPart (raw: string): Part {
  const end = raw.indexOf('\r\n\r\n')
  const lines = raw.slice(0, end).replace(/\r\n[ \t]+/g, ' ').split('\r\n')
  return { headers: new Map(lines.map(line => [line.split(':', 1)[0]!.toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])), body: raw.slice(end + 4) }
}

function decodeBody ({ headers, body }: Part): string {
  const encoding = headers.get('content-transfer-encoding')
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString()
  return (encoding === 'quoted-printable' ? decodeQuoted(body.replace(/=\r\n/g, '')) : body).replaceAll('\r\n', '\n')
}

function decodeQuoted (text: string): string {
  return Buffer.from(text.replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))), 'latin1').toString()
}

/** Encoded words of a header (RFC 2047). */
function decodeWords (header: string): string {
  return header.replace(/\?= =\?/g, '?==?').replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_all, kind: string, word: string) =>
    kind.toUpperCase() === 'B' ? Buffer.from(word, 'base64').toString() : decodeQuoted(word.replaceAll('_', ' ')))
}
