/** Reads request bodies: bounded, decoded strictly, scanned for what JSON.parse would hide. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { inflate, type Encoding } from './inflate.ts'
import { scanJson, type ScanFinding } from './json-scan.ts'
import { Problem } from './problem.ts'

export interface BodyLimits {
  /** Bytes on the wire. */
  wireBytesMax: number
  inflatedBytesMax: number
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What is wrong inside elements of the body's `events`, by index. */
    eventFaults: ReadonlyMap<number, ScanFinding> | null
    /** The size of the body, inflated. */
    bodyBytes: number
  }
}

const inflateRatioMax = 100
const encodings: readonly string[] = ['gzip', 'zstd', 'br']
const byteOrderMark = 0xfeff

export function registerBody (app: FastifyInstance, limits: BodyLimits): void {
  app.decorateRequest('eventFaults', null)
  app.decorateRequest('bodyBytes', 0)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: limits.wireBytesMax }, async (request: FastifyRequest, body: Buffer) => {
    refuseOtherTypes(request)
    return parse(request, await plain(request, body, limits))
  })
}

async function plain (request: FastifyRequest, body: Buffer, { inflatedBytesMax }: BodyLimits): Promise<Buffer> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity') return body
  if (!encodings.includes(encoding)) {
    throw new Problem('unsupported-media-type', { detail: 'The content encoding is not understood.', headers: { 'accept-encoding': 'gzip, zstd, br' } })
  }
  const inflated = await inflate(body, encoding as Encoding, { inflatedBytesMax, ratioMax: inflateRatioMax })
  if (inflated.ok) return inflated.body
  if (inflated.reason === 'too-large') throw new Problem('batch-too-large')
  throw new Problem('invalid-json', { detail: `The body is not valid ${encoding}.` })
}

function parse (request: FastifyRequest, body: Buffer): unknown {
  request.bodyBytes = body.length
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw new Problem('invalid-json', { detail: 'The body is not valid UTF-8.' })
  }
  if (text.charCodeAt(0) === byteOrderMark) throw new Problem('invalid-json', { detail: 'The body starts with a byte order mark.' })
  const { fatal, events } = scanJson(text)
  if (fatal !== undefined) throw new Problem('invalid-json', { errors: [{ pointer: fatal.pointer, detail: fatal.reason }] })
  request.eventFaults = events ?? null
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('invalid-json', { detail: 'The body is not one complete JSON document.' })
  }
}

/** RFC 9110 section 8.3.1: parameters are names with values. */
const mediaType = /^application\/json(?:\s*;\s*[\w.+-]+=(?:[\w.:+-]+|"[^"\\]*"))*\s*$/i

function refuseOtherTypes (request: FastifyRequest): void {
  const type = request.headers['content-type'] ?? ''
  const charsets = [...type.matchAll(/;\s*charset="?([^";\s]*)/gi)].map(([, charset]) => charset?.toLowerCase())
  if (!mediaType.test(type) || charsets.some(charset => charset !== 'utf-8')) {
    throw new Problem('unsupported-media-type', { detail: 'The body must be application/json in UTF-8.' })
  }
}
