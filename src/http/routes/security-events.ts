/** Where those who oversee administrators see what was done to the protection of an account, and by whom. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { securityEventKinds, type SecurityEvent, type SecurityEventPlace } from '../../domain/security-event.ts'
import type { Cursors } from '../cursors.ts'
import { pageShape, plainIdShape, showTime, shownTime } from '../shapes.ts'
import { questionOf, tags } from './privacy-shapes.ts'

export interface SecurityEventRouteOptions {
  /** An account's events, newest first, from after a place. */
  listEvents: (accountId: string, limit: number, before: SecurityEventPlace | undefined) => Promise<SecurityEvent[]>
  cursors: Cursors
}

const eventShape = z.object({
  event_id: z.string(), kind: z.enum(securityEventKinds), at: shownTime, actor: z.enum(['user', 'admin', 'system']), actor_subject: z.string().nullable(), reason: z.string().nullable()
})

export function securityEventRoutes ({ listEvents, cursors }: SecurityEventRouteOptions): FastifyPluginAsyncZod {
  return async app => {
    app.get('/v1/privacy/accounts/:account_id/security-events', {
      config: { scope: ['privacy:admin', 'security:admin'] },
      schema: {
        summary: 'What happened to the protection of an account, and which administrator did it; newest first',
        tags,
        params: z.strictObject({ account_id: plainIdShape }),
        querystring: pageShape,
        response: { 200: z.object({ account_id: z.string(), events: z.array(eventShape), next_cursor: z.string().optional() }) }
      }
    }, async request => {
      const { account_id: accountId } = request.params
      const { limit = 50, cursor } = request.query
      const question = questionOf(request, 'security-events', { account_id: accountId })
      const events = await listEvents(accountId, limit, cursors.readPlaceFrom(cursor, question))
      const last = events.at(-1)
      const more = events.length === limit && last !== undefined
      return { account_id: accountId, events: events.map(show), ...(more ? { next_cursor: cursors.write({ at: last.at, id: last.event_id }, question) } : {}) }
    })
  }
}

function show ({ event_id: id, kind, at, actor, actor_subject: subject, reason }: SecurityEvent): z.infer<typeof eventShape> {
  return { event_id: id, kind, at: showTime(at), actor, actor_subject: subject, reason }
}
