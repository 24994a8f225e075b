/** What an administrator can do for a person who is locked out. The person is told. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Act, AdministerAccounts } from '../../flows/administer-accounts.ts'
import { callerOfRequest } from '../auth.ts'
import { Problem } from '../problem.ts'

const params = z.strictObject({ account_id: z.string().min(1).max(300) })
const body = z.strictObject({ reason: z.string().trim().min(3).max(500) })
const config = { scope: 'security:admin', unavailable: 'verification-unavailable' } as const
const shared = { tags: ['operators'], security: [{ accessToken: [] }], params, body, response: { 204: z.null() } }

export function adminRoutes ({ administerAccounts }: { administerAccounts: AdministerAccounts }): FastifyPluginAsyncZod {
  return async app => {
    app.post('/v1/admin/accounts/:account_id/two-step/reset', {
      config: { ...config, problems: ['two-step-off'] }, schema: { summary: 'Turn 2-step verification off for a person', ...shared }
    }, async (request, reply) => {
      if (!await administerAccounts.reset(request.params.account_id, actOf(request, request.body))) throw new Problem('two-step-off')
      return await done(reply)
    })

    app.post('/v1/admin/accounts/:account_id/unlock', { config, schema: { summary: 'Lift locks and suspension for a person', ...shared } }, async (request, reply) => {
      await administerAccounts.unlock(request.params.account_id, actOf(request, request.body))
      return await done(reply)
    })

    app.post('/v1/admin/accounts/:account_id/two-step/unlock', { config, schema: { summary: 'The same, beside its reset', ...shared } }, async (request, reply) => {
      await administerAccounts.unlock(request.params.account_id, actOf(request, request.body))
      return await done(reply)
    })
  }
}

function actOf (request: FastifyRequest, { reason }: z.infer<typeof body>): Act {
  request.accessAbout = { reason }
  return { by: callerOfRequest(request).subject, reason }
}

async function done (reply: FastifyReply): Promise<FastifyReply> {
  return await reply.code(204).send(null)
}
