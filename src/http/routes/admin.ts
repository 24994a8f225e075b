/** What an administrator can do for a person who is locked out. The person is told. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ManageTwoStep } from '../../flows/manage-two-step.ts'
import { Problem } from '../problem.ts'

const params = z.strictObject({ account_id: z.string().min(1).max(300) })
const body = z.strictObject({ reason: z.string().trim().min(3).max(500) })
const config = { scope: 'security:admin', unavailable: 'verification-unavailable' } as const
const shared = { tags: ['operators'], security: [{ accessToken: [] }], params, body, response: { 204: z.null() } }

export function adminRoutes ({ manageTwoStep }: { manageTwoStep: ManageTwoStep }): FastifyPluginAsyncZod {
  return async app => {
    app.post('/v1/admin/accounts/:account_id/two-step/reset', { config: { ...config, problems: ['two-step-off'] }, schema: { summary: 'Turn 2-step verification off for a person', ...shared } }, async (request, reply) => {
      if (!await manageTwoStep.reset(request.params.account_id, request.body.reason)) throw new Problem('two-step-off')
      return await reply.code(204).send(null)
    })

    app.post('/v1/admin/accounts/:account_id/unlock', { config, schema: { summary: 'Lift locks and suspension for a person', ...shared } }, async (request, reply) => {
      await manageTwoStep.unlock(request.params.account_id, request.body.reason)
      return await reply.code(204).send(null)
    })

    app.post('/v1/admin/accounts/:account_id/two-step/unlock', { config, schema: { summary: 'The same, beside its reset', ...shared } }, async (request, reply) => {
      await manageTwoStep.unlock(request.params.account_id, request.body.reason)
      return await reply.code(204).send(null)
    })
  }
}
