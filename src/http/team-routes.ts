/** What the routes of the privacy team and of administrators share: a stated reason, and a row in the access log for every call. */
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { recordCalls, type AccessLogOptions } from './access-log.ts'

export interface TeamRoutesOptions extends AccessLogOptions {
  /** The team's, which take the reason as a header. */
  routes: readonly FastifyPluginAsync[]
  /** Those of administrators, which take it in their bodies. */
  administration: readonly FastifyPluginAsync[]
}

const headers = z.looseObject({ 'purpose-of-use': z.string('must say why').trim().min(1, 'must say why').max(500) })

export function teamRoutes ({ routes, administration, ...accessLog }: TeamRoutesOptions): FastifyPluginAsync {
  const register: FastifyPluginAsync = async app => {
    recordCalls(app, accessLog)
    for (const route of administration) await app.register(route)
    await app.register(async team => {
      team.addHook('onRoute', route => { route.schema = { headers, ...route.schema } })
      for (const route of routes) await team.register(route)
    })
  }
  // Given no context of its own, so that what it hooks on is the root.
  return Object.assign(register, { [Symbol.for('skip-override')]: true })
}
