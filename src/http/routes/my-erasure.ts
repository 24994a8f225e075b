/** Where people have everything erased that they sent. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { RequestErasure } from '../../flows/request-erasure.ts'
import type { CheckToken } from '../../flows/check-token.ts'
import { personOfRequest } from '../auth.ts'
import { erasureParams, requestedErasure, showErasure, showRequested, shownErasure } from '../erasure-shapes.ts'
import { Problem } from '../problem.ts'
import { needsVerification, paymentProblems, requirePayment } from '../verification.ts'

const tags = ['people']

export function myErasureRoutes ({ requestErasure, checkToken }: { requestErasure: RequestErasure, checkToken: CheckToken }): FastifyPluginAsyncZod {
  return async app => {
    app.post('/v1/me/erasure', {
      config: { scope: 'settings', unavailable: 'verification-unavailable', problems: ['account-required', ...paymentProblems] },
      schema: {
        summary: 'Erase the events I sent until now',
        tags,
        headers: z.looseObject({ 'verification-token': z.string().optional() }),
        body: z.strictObject({}).nullish(),
        response: { 202: requestedErasure }
      }
    }, async (request, reply) => {
      const person = personOfRequest(request)
      const payment = await requirePayment(checkToken, request, person, 'data.erase', {})
      const outcome = await requestErasure.byPerson(person, payment)
      if (outcome.requested) return await reply.code(202).send(showRequested(outcome.erasure))
      throw needsVerification(outcome.reason === 'verification-spent' ? 'verification-spent' : 'verification-required')
    })

    app.get('/v1/me/erasure/:id', {
      config: { scope: 'settings', problems: ['account-required', 'not-found'] },
      schema: { summary: 'How far an erasure of mine is, and its certificate', tags, params: erasureParams, response: { 200: shownErasure } }
    }, async (request, reply) => {
      const person = personOfRequest(request)
      const found = await requestErasure.find(request.params.id)
      if (found?.erasure.accountId !== person.accountId) throw new Problem('not-found')
      return await reply.send(showErasure(found) as never)
    })
  }
}
