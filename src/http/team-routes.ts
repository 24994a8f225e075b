/** What the routes of the privacy team share: a stated reason, and a row in the access log for every call, refused ones too. */
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import type { Access } from '../flows/ports.ts'

export interface TeamRoutesOptions {
  /** Resolves once the call is durably on record. */
  logAccess: (access: Access) => Promise<void>
  now: () => number
  newId: () => string
  routes: readonly FastifyPluginAsync[]
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether this call is on record, or could not be put there. */
    accessLogged: boolean
  }
}

const headers = z.looseObject({ 'purpose-of-use': z.string('must say why').trim().min(1, 'must say why').max(500) })
/** What is kept of an address, in characters. */
const keptOf = { path: 1000, query: 2000, reason: 500 }

export function teamRoutes ({ logAccess, now, newId, routes }: TeamRoutesOptions): FastifyPluginAsync {
  return async app => {
    app.decorateRequest('accessLogged', false)
    app.addHook('onRoute', route => { route.schema = { headers, ...route.schema } })
    // Before the answer goes out: one that could not be put on record is not given.
    app.addHook('onSend', async (request, reply) => {
      if (request.accessLogged) return
      request.accessLogged = true
      const [path = '', ...query] = request.url.split('?')
      await logAccess({
        accessId: newId(),
        at: now(),
        subject: request.caller?.subject ?? null,
        method: request.method,
        path: path.slice(0, keptOf.path),
        query: query.join('?').slice(0, keptOf.query),
        purposeOfUse: String(request.headers['purpose-of-use'] ?? '').slice(0, keptOf.reason),
        status: reply.statusCode
      })
    })
    for (const route of routes) await app.register(route)
  }
}
