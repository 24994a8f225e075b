/** Where the privacy team has a subject's events erased, and reads the certificate. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Subject } from '../../domain/ledger.ts'
import type { RequestErasure } from '../../flows/request-erasure.ts'
import { erasureParams, requestedErasure, showErasure, showRequested, shownErasure } from '../erasure-shapes.ts'
import { Problem } from '../problem.ts'
import { deviceIdShape } from '../shapes.ts'

const plain = /^[^\p{Cc}\p{Cs}]+$/u
const requestShape = z.strictObject({
  account_id: z.string().min(1).max(255).regex(plain, 'must be plain text').optional(),
  device_id: deviceIdShape.optional(),
  reason: z.string().trim().min(1).max(500).regex(plain, 'must be plain text on one line')
}).refine(({ account_id: account, device_id: device }) => (account === undefined) !== (device === undefined), 'must name an account_id or a device_id, and not both')
const tags = ['privacy team']

export function erasureRoutes ({ requestErasure }: { requestErasure: RequestErasure }): FastifyPluginAsyncZod {
  return async app => {
    app.post('/v1/privacy/erasures', {
      config: { scope: 'privacy:admin' },
      schema: { summary: 'Erase the events of an account or a device until now', tags, body: requestShape, response: { 202: requestedErasure } }
    }, async (request, reply) => {
      const { account_id: accountId, device_id: deviceId = '', reason } = request.body
      request.accessAbout = accountId === undefined ? { device_id: deviceId } : { account_id: accountId }
      const subject: Subject = accountId === undefined ? { kind: 'device', id: deviceId } : { kind: 'account', id: accountId }
      return await reply.code(202).send(showRequested(await requestErasure.byTeam(subject, reason)))
    })

    app.get('/v1/privacy/erasures/:id', {
      config: { scope: ['privacy:read', 'privacy:admin'], problems: ['not-found'] },
      schema: { summary: 'How far an erasure is, and its certificate', tags, params: erasureParams, response: { 200: shownErasure } }
    }, async (request, reply) => {
      const found = await requestErasure.find(request.params.id)
      if (found === undefined) throw new Problem('not-found')
      return await reply.send(showErasure(found) as never)
    })
  }
}
