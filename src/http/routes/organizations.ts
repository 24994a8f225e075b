/** Where an organisation's policy is set: what none of its people's devices may send, whatever each of them chose. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { SetOrgPolicy } from '../../flows/set-org-policy.ts'
import { Problem } from '../problem.ts'
import { plainIdShape } from '../shapes.ts'

const policyShape = z.record(z.string().min(1).max(64), z.enum(['off', 'none']))

export function organizationRoutes ({ setOrgPolicy, privacyContact }: { setOrgPolicy: SetOrgPolicy, privacyContact: string }): FastifyPluginAsyncZod {
  return async app => {
    app.put('/v1/privacy/organizations/:org_id/policy', {
      config: { scope: 'privacy:admin', problems: ['unknown-purpose', 'purpose-not-changeable'] },
      schema: {
        summary: 'Set what an organisation switches off for all its people',
        tags: ['privacy team'],
        params: z.strictObject({ org_id: plainIdShape }),
        body: policyShape,
        response: { 200: z.object({ org_id: z.string(), policy: policyShape }) }
      }
    }, async request => {
      request.accessAbout = { policy: request.body }
      const refusal = await setOrgPolicy(request.params.org_id, request.body)
      if (refusal !== undefined) throw new Problem(refusal, { members: { contact: privacyContact } })
      return { org_id: request.params.org_id, policy: request.body }
    })
  }
}
