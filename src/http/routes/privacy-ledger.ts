/** The ledger itself, searched and read page by page. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { showHead } from '../../domain/ledger-head.ts'
import type { AnswerPrivacy } from '../../flows/answer-privacy.ts'
import type { Cursors } from '../cursors.ts'
import { Problem } from '../problem.ts'
import { deviceIdShape, instantShape, plainIdShape } from '../shapes.ts'
import { showEntry } from './privacy.ts'
import { cursorShape, headShape, limitShape, purposeShape, questionOf, readScopes, requireReadableQuery, tags } from './privacy-shapes.ts'

const placeShape = z.object({
  after: z.object({ recordedAt: z.number(), subject: z.string(), revision: z.number(), entryId: z.string() }), head: z.array(z.number())
})

export function privacyLedgerRoutes ({ answerPrivacy, cursors }: { answerPrivacy: AnswerPrivacy, cursors: Cursors }): FastifyPluginAsyncZod {
  return async app => {
    app.get('/v1/privacy/ledger', {
      config: { ...readScopes, problems: ['range-reversed'] },
      preValidation: requireReadableQuery,
      schema: {
        summary: 'Entries of the ledger in the order in which they were recorded',
        tags,
        querystring: z.strictObject({
          account_id: plainIdShape.optional(),
          device_id: deviceIdShape.optional(),
          purpose: purposeShape.optional(),
          decision: z.enum(['granted', 'denied', 'cleared']).optional(),
          from: instantShape.optional(),
          to: instantShape.optional(),
          limit: limitShape(200),
          cursor: cursorShape
        }),
        response: { 200: z.object({ entries: z.array(z.record(z.string(), z.unknown())), next_cursor: z.string().optional(), ledger_head: headShape }) }
      }
    }, async request => {
      const { limit = 50, cursor, ...query } = request.query
      if (query.from !== undefined && query.to !== undefined && query.from > query.to) throw new Problem('range-reversed')
      const question = questionOf(request, 'ledger', query)
      const { entries, head, next } = await answerPrivacy.ledger(query, limit, cursors.readAs(cursor, question, placeShape))
      return {
        entries: entries.map(showEntry),
        ...(next === undefined ? {} : { next_cursor: cursors.write(next, question) }),
        ledger_head: showHead(head)
      }
    })
  }
}
