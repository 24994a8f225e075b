/** Every call to the parts of the privacy team and of administrators is put on record before its answer goes out, refused ones too. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Unavailable } from '../domain/unavailable.ts'
import type { Access } from '../flows/ports.ts'
import { becomeProblem, Problem } from './problem.ts'

export interface AccessLogOptions {
  /** Resolves once the call is durably on record. */
  logAccess: (access: Access) => Promise<void>
  now: () => number
  newId: () => string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether this call is on record, or could not be put there. */
    accessLogged: boolean
    /** Whom or what a call is about, where its address does not say so. */
    accessAbout: Readonly<Record<string, unknown>> | undefined
  }
}

/** What is kept of a call, in characters. */
const keptOf = { path: 1000, query: 2000, reason: 500, about: 4000 }

/** Call it on the root: what no route answers is a call as well. */
export function recordCalls (app: FastifyInstance, { logAccess, now, newId }: AccessLogOptions): void {
  app.decorateRequest('accessLogged', false)
  app.decorateRequest('accessAbout', undefined)

  const accessOf = async (request: FastifyRequest, status: number): Promise<Access> => {
    const [path = '', ...query] = request.originalUrl.split('?')
    return {
      accessId: newId(),
      at: now(),
      subject: (request.caller ?? await app.whoCalls(request))?.subject ?? null,
      method: request.method,
      path: cut(path, keptOf.path),
      query: cut(query.join('?'), keptOf.query),
      ...(request.accessAbout === undefined ? {} : { about: cut(JSON.stringify(request.accessAbout), keptOf.about) }),
      purposeOfUse: cut(String(request.headers['purpose-of-use'] ?? ''), keptOf.reason),
      status
    }
  }

  app.addHook('onSend', async (request, reply, payload) => {
    if (request.accessLogged || !isRecorded(request.originalUrl) || wasNotLookedAt(request)) return payload
    request.accessLogged = true
    try {
      await logAccess(await accessOf(request, reply.statusCode))
      return payload
    } catch (error) {
      // An answer that could not be put on record is not given; nor may an error leave here, past what renders errors.
      request.log.warn({ route: request.routeOptions.url, what: error instanceof Unavailable ? error.message : (error as Error).name }, 'request.unavailable')
      if (isStream(payload)) payload.destroy()
      for (const name of Object.keys(reply.getHeaders())) if (name !== 'connection') reply.removeHeader(name)
      return JSON.stringify(becomeProblem(reply, new Problem('unavailable')))
    }
  })
}

/** Whether a call was refused for its address's limit, before anything else: rows of those, and looking at their tokens, would be without limit. */
function wasNotLookedAt ({ overLimit }: FastifyRequest): boolean {
  return overLimit?.by === 'address'
}

/** Whether an address lies in one of those parts, however it spells it. */
function isRecorded (url: string): boolean {
  const [path = ''] = url.replace(/^https?:\/\/[^/?]*/i, '').split('?')
  const plain = path.replace(/%([2-7][0-9a-f])/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  return /^\/v1\/(?:privacy|admin)(?:[/#]|$)/.test(plain)
}

function isStream (payload: unknown): payload is { destroy: () => void } {
  return typeof (payload as { destroy?: unknown } | null | undefined)?.destroy === 'function'
}

/** Half a character at the end would be no text to ClickHouse, and hold up all that is inserted with it. */
function cut (text: string, max: number): string {
  return text.slice(0, max).toWellFormed()
}
