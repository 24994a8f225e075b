/** What a product may collect, before it collects it. */
import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AskConsent } from '../../flows/ask-consent.ts'
import { callerOfRequest } from '../auth.ts'
import { deviceIdShape, productShape } from '../shapes.ts'
import { ownerOf } from '../judge-posted.ts'

export function consentRoutes ({ askConsent }: { askConsent: AskConsent }): FastifyPluginAsyncZod {
  return async app => {
    app.get('/v1/consent', {
      config: { scope: 'telemetry:write', problems: ['device-mismatch'] },
      schema: {
        summary: 'What this product may collect now',
        tags: ['products'],
        querystring: z.strictObject({
          product: productShape.shape.name,
          release: z.string().regex(/^[0-9]{4}$/, 'must be a year').transform(Number),
          device_id: deviceIdShape.optional()
        }),
        response: {
          304: z.null(),
          200: z.object({
            revision: z.int(),
            decisions: z.record(z.string(), z.object({ allowed: z.boolean(), reason: z.string() })),
            required: z.array(z.string())
          })
        }
      }
    }, async (request, reply) => {
      const { product, release, device_id: deviceId } = request.query
      const answer = await askConsent(ownerOf(callerOfRequest(request), deviceId), { name: product, release })
      const etag = `"${createHash('sha256').update(JSON.stringify(answer)).digest('base64url').slice(0, 22)}"`
      reply.header('etag', etag)
      if (names(request.headers['if-none-match'], etag)) return await reply.code(304).send(null)
      return await reply.send(answer)
    })
  }
}

/** Whether an If-None-Match names a tag: among several, or as a weak one, or by `*` (RFC 9110 section 13.1.2). */
function names (ifNoneMatch: string | undefined, etag: string): boolean {
  return (ifNoneMatch ?? '').split(',').some(tag => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
}
