/**
 * A ClickHouse server as far as its official client needs one: its HTTP protocol over the embedded engine.
 * It runs as a process of its own, since the engine opens one directory per process. Its arguments are a directory and
 * a port; it tells its parent when it is up, and takes switches from it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { isClickHouseError, openEmbedded } from '../../src/clickhouse/client.ts'
import type { BridgeSwitches, BridgeStatistics } from './clickhouse-bridge.ts'

const [directory = '', port = '0'] = process.argv.slice(2)
const { client, reader, close } = await openEmbedded(directory)
const settings = new Set((await (await client.query({ query: 'SELECT name FROM system.settings', format: 'JSONEachRow' })).json<{ name: string }>()).map(({ name }) => name))
/** What the server takes in an address beside settings. */
const ownNames = new Set(['query', 'query_id', 'database', 'enable_http_compression', 'wait_end_of_query'])

const switches: BridgeSwitches = { user: 'default', password: '', reader: '', slowInserts: 0, slowMs: 0, droppedAnswers: 0, failedInserts: 0, failCode: '' }
const statistics: BridgeStatistics = { inserts: 0, readerQueries: 0, compressedRequests: 0, compressedAnswers: 0 }

/** Limits of a server as it comes: `http_max_uri_size` lies higher, but what stands before one often lower; `http_max_field_value_size`. */
const addressLengthMax = 16_384
const fieldBytesMax = 131_072

class Refused extends Error {
  readonly status: number
  readonly code: string
  readonly type: string
  constructor (status: number, code: string, type: string, message: string) {
    super(message)
    this.status = status
    this.code = code
    this.type = type
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    if (request.destroyed && !request.complete) return // Whoever asked has died in the middle of it.
    refuse(response, error)
  })
})

async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://bridge')
  if (pathname === '/ping') {
    response.end('Ok.\n')
    return
  }
  const isCompressed = request.headers['content-encoding'] === 'gzip'
  const sent = await buffer(request)
  const form = readForm(request, sent)
  const body = form?.get('query') ?? (isCompressed ? gunzipSync(sent) : sent).toString()
  const mayWrite = checkUser(request)
  if (!mayWrite) statistics.readerQueries++
  if ((request.url ?? '').length > addressLengthMax) throw new Refused(414, '1000', 'POCO_EXCEPTION', 'URI too long ')
  const parameters = { ...readAddress(searchParams), ...form === undefined ? {} : readAddress(new URLSearchParams([...form].filter(([name]) => name !== 'query'))) }
  const query = searchParams.get('query')
  const statement = query === null ? body : `${query}\n${body}`
  const isInsert = /^\s*INSERT/i.test(statement)
  if (isCompressed) statistics.compressedRequests++
  if (isInsert) statistics.inserts++
  if (isInsert && switches.slowInserts-- > 0) await sleep(switches.slowMs)
  if (isInsert && switches.failedInserts-- > 0) throw new Refused(500, switches.failCode, 'REFUSED', 'It was told to refuse. ')

  const connection = !mayWrite || searchParams.get('readonly') === '1' ? reader : client
  const { stream } = await connection.exec({ query: statement, ...(Object.keys(parameters).length > 0 ? { query_params: parameters } : {}) })
  const result = await text(stream)
  if (isInsert && switches.droppedAnswers-- > 0) {
    request.socket.destroy()
    return
  }
  const compress = searchParams.get('enable_http_compression') === '1' && String(request.headers['accept-encoding']).includes('gzip')
  if (compress) statistics.compressedAnswers++
  response.writeHead(200, { 'x-clickhouse-summary': '{}', 'x-clickhouse-query-id': searchParams.get('query_id') ?? '', ...(compress ? { 'content-encoding': 'gzip' } : {}) })
  response.end(compress ? gzipSync(result) : result)
}

/** The fields of a form, if that is what was sent; each within what the server takes. */
function readForm ({ headers }: IncomingMessage, sent: Buffer): Map<string, string> | undefined {
  const boundary = /^multipart\/form-data; boundary=(.+)$/.exec(headers['content-type'] ?? '')?.[1]
  if (boundary === undefined) return undefined
  const fields = sent.toString().split(`--${boundary}`).flatMap((part): Array<[string, string]> => {
    const [, name, value] = /^\r\nContent-Disposition: form-data; name="(\w+)"\r\n(?:[^\r\n]+\r\n)*\r\n(.*)\r\n$/s.exec(part) ?? []
    return name === undefined || value === undefined ? [] : [[name, value]]
  })
  if (fields.some(([, value]) => Buffer.byteLength(value) > fieldBytesMax)) throw new Refused(400, '1000', 'POCO_EXCEPTION', 'HTML Form Exception: Field value too long ')
  return new Map(fields)
}

/** Whether who asks may write. */
function checkUser ({ headers }: IncomingMessage): boolean {
  const basic = Buffer.from(/^Basic (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '', 'base64').toString()
  const given = headers.authorization === undefined ? `${String(headers['x-clickhouse-user'])}:${String(headers['x-clickhouse-key'])}` : basic
  if (given === `${switches.user}:${switches.password}`) return true
  if (given !== '' && given === switches.reader) return false
  throw new Refused(403, '516', 'AUTHENTICATION_FAILED', `${given.split(':', 1)[0] ?? ''}: Authentication failed: password is incorrect, or there is no user with such name. `)
}

/** The parameters of a statement, unescaped. What is neither a parameter nor a setting is refused, as the server does. */
function readAddress (searchParams: URLSearchParams): Record<string, string | string[]> {
  const escapes: Record<string, string> = { t: '\t', n: '\n', r: '\r', 0: '\0', b: '\b', f: '\f' }
  const unescape = (text: string): string => text.replace(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter)
  const parameters: Record<string, string | string[]> = {}
  for (const [name, value] of searchParams) {
    // The elements of a list of texts are quoted, each by itself.
    const texts = value.startsWith("['") ? [...value.matchAll(/'((?:[^'\\]|\\.)*)'/gs)].map(([, text = '']) => unescape(text)) : undefined
    if (name.startsWith('param_')) parameters[name.slice(6)] = texts ?? unescape(value)
    else if (!ownNames.has(name) && !settings.has(name)) throw new Refused(404, '115', 'UNKNOWN_SETTING', `Setting ${name} is neither a builtin setting nor started with the prefix 'SQL_'. `)
  }
  const database = searchParams.get('database') ?? 'default'
  if (database !== 'default') throw new Refused(404, '81', 'UNKNOWN_DATABASE', `Database ${database} does not exist. `)
  return parameters
}

function refuse (response: ServerResponse, error: unknown): void {
  if (!(error instanceof Refused) && !isClickHouseError(error)) throw error
  const status = error instanceof Refused ? error.status : 500
  response.writeHead(status, { 'x-clickhouse-exception-code': error.code, 'content-type': 'text/plain; charset=UTF-8' })
  response.end(`Code: ${error.code}. DB::Exception: ${error.message}(${String(error.type)}) (version 25.8.1.1 (official build))\n`)
}

process.on('message', (changes: Partial<BridgeSwitches>) => {
  Object.assign(switches, changes)
  process.send?.(statistics)
})
process.on('disconnect', () => { void close().then(() => process.exit(0)) })
server.listen(Number(port), '127.0.0.1', () => { process.send?.((server.address() as { port: number }).port) })
