/** Reads request bodies: bounded, decoded strictly, scanned for what JSON.parse would hide. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { inflate, type Encoding } from './inflate.ts'
import { scanJson } from './json-scan.ts'
import { Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a body that is no batch. */
    inflatedBytesMax?: number
  }
}

export interface BodyLimits {
  /** Bytes on the wire. */
  wireBytesMax: number
  inflatedBytesMax: number
}

const inflateRatioMax = 100
/** What is no batch is short, on the wire and inflated. A route that takes more says so by its `bodyLimit` and its `inflatedBytesMax`. */
const otherBytesMax = 65_536
const encodings: readonly string[] = ['gzip', 'zstd', 'br']
const byteOrderMark = 0xfeff

export function registerBody (app: FastifyInstance, limits: BodyLimits): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: Math.min(otherBytesMax, limits.wireBytesMax) }, async (request: FastifyRequest, body: Buffer) => {
    refuseOtherTypes(request)
    const { inflatedBytesMax = otherBytesMax } = request.routeOptions.config
    return parse(await inflateBody(body, request.headers['content-encoding'], { ...limits, inflatedBytesMax }))
  })
}

/** In the routes of this plugin a JSON body stays what it is, bytes; its type is checked. */
export function registerRawBody (app: FastifyInstance, wireBytesMax: number): void {
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: wireBytesMax }, (request: FastifyRequest, body: Buffer, done) => {
    try {
      refuseOtherTypes(request)
      done(null, body)
    } catch (error) {
      done(error as Error)
    }
  })
}

/** `encoding`: the Content-Encoding header. */
export async function inflateBody (body: Buffer, encoding = 'identity', { inflatedBytesMax }: BodyLimits): Promise<Buffer> {
  const name = encoding.trim().toLowerCase()
  if (name === 'identity') return body
  if (!encodings.includes(name)) {
    throw new Problem('unsupported-media-type', { detail: 'The content encoding is not understood.', headers: { 'accept-encoding': 'gzip, zstd, br' } })
  }
  const inflated = await inflate(body, name as Encoding, { inflatedBytesMax, ratioMax: inflateRatioMax })
  if (inflated.ok) return inflated.body
  if (inflated.reason === 'too-large') throw new Problem('batch-too-large')
  throw new Problem('invalid-json', { detail: `The body is not valid ${name}.` })
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function decodeText (body: Uint8Array): string {
  let text
  try {
    text = utf8.decode(body)
  } catch {
    throw new Problem('invalid-json', { detail: 'The body is not valid UTF-8.' })
  }
  if (text.charCodeAt(0) === byteOrderMark) throw new Problem('invalid-json', { detail: 'The body starts with a byte order mark.' })
  return text
}

export function parseText (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('invalid-json', { detail: 'The body is not one complete JSON document.' })
  }
}

function parse (body: Uint8Array): unknown {
  const text = decodeText(body)
  const { fatal, events } = scanJson(text)
  // Only a batch may hold elements that are wrong and others that are right.
  const [first] = events ?? []
  const finding = fatal ?? (first === undefined ? undefined : { ...first[1], pointer: `/events/${String(first[0])}${first[1].pointer}` })
  if (finding !== undefined) throw new Problem('invalid-json', { errors: [{ pointer: finding.pointer, detail: finding.reason }] })
  return parseText(text)
}

/** RFC 9110 section 8.3.1: parameters are names with values. */
const mediaType = /^application\/json(?:\s*;\s*[\w.+-]+=(?:[\w.:+-]+|"[^"\\]*"))*\s*$/i

function refuseOtherTypes (request: FastifyRequest): void {
  const type = request.headers['content-type'] ?? ''
  if (type === 'application/json') return
  const charsets = [...type.matchAll(/;\s*charset="?([^";\s]*)/gi)].map(([, charset]) => charset?.toLowerCase())
  if (!mediaType.test(type) || charsets.some(charset => charset !== 'utf-8')) {
    throw new Problem('unsupported-media-type', { detail: 'The body must be application/json in UTF-8.' })
  }
}
