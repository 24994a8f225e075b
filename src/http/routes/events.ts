/** Where desktop products post events. */
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import type { DecisionCount } from '../../domain/event.ts'
import { callerOfRequest } from '../auth.ts'
import { registerRawBody } from '../body.ts'
import { Problem } from '../problem.ts'
import { envelopeShape, eventShape } from '../read-batch.ts'
import type { TakeBatch } from '../take-batch.ts'

export interface EventRouteOptions {
  takeBatch: TakeBatch
  /** Told of every batch that was taken. */
  onTaken: (counts: readonly DecisionCount[]) => void
  /** Bytes on the wire. */
  wireBytesMax: number
}

const answerShape = z.object({
  batch_id: z.uuid(),
  accepted: z.int(),
  dropped: z.int(),
  rejected: z.int(),
  results: z.array(z.object({
    id: z.string().nullable(),
    index: z.int().optional().meta({ description: 'Place in the batch, where the id could not be read' }),
    outcome: z.enum(['accepted', 'dropped', 'rejected']),
    reason: z.string(),
    detail: z.string().optional(),
    stripped: z.array(z.string()).optional()
  })),
  consent: z.object({ revision: z.int(), stop: z.array(z.string()) })
})

export function eventRoutes ({ takeBatch, onTaken, wireBytesMax }: EventRouteOptions): FastifyPluginAsync {
  return async app => {
    registerRawBody(app, wireBytesMax)
    app.post('/v1/events', {
      config: { scope: 'telemetry:write', sheds: true, problems: ['invalid-batch', 'device-mismatch'] },
      // Described for the document; the body is read where the batch is taken, and judged one event at a time.
      schema: {
        summary: 'Post a batch of events',
        tags: ['products'],
        body: envelopeShape.extend({ events: z.array(eventShape).min(1).max(1000) }),
        response: { 202: answerShape }
      },
      validatorCompiler: () => (value: unknown) => ({ value })
    }, (request, reply) => {
      const { body } = request
      // A request without a body and its type has none to read either.
      if (!Buffer.isBuffer(body)) throw new Problem('invalid-batch', { errors: [{ pointer: '', detail: 'is missing' }] })
      request.body = undefined // It would be held until the answer, which waits for a disk.
      const { accountId, deviceId, orgId, region } = callerOfRequest(request)
      const posted = { body, encoding: request.headers['content-encoding'], poster: { accountId, deviceId, orgId, region }, onInflated: (bytes: number) => { app.holdMore(request, bytes) } }
      return takeBatch(posted).then(taken => {
        onTaken(taken.counts)
        return reply.code(202).type('application/json; charset=utf-8').send(taken.answer)
      })
    })
  }
}
