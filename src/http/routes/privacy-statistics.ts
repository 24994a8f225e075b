/** How many agreed, and what became of events: counts, and whether they add up. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { intervals } from '../../domain/calendar.ts'
import { showHead } from '../../domain/ledger-head.ts'
import type { AnswerStatistics } from '../../flows/answer-statistics.ts'
import { decisionColumns, type DecisionColumn } from '../../flows/privacy-ports.ts'
import { Problem } from '../problem.ts'
import { showTime, shownTime } from '../shapes.ts'
import { askedSpan, headShape, purposeShape, readScopes, spanShape, tags } from './privacy-shapes.ts'

export interface PrivacyStatisticsOptions { answerStatistics: AnswerStatistics, now: () => number }

const columnNames: readonly string[] = decisionColumns
const groupShape = z.string().max(200)
  .transform(text => text.split(','))
  .refine((names): names is DecisionColumn[] => names.every(name => columnNames.includes(name)), `must be a list of ${columnNames.join(', ')}, with commas between them`)
  .refine(names => new Set(names).size === names.length, 'names something twice')

const count = z.int()

export function privacyStatisticsRoutes ({ answerStatistics, now }: PrivacyStatisticsOptions): FastifyPluginAsyncZod {
  return async app => {
    app.get('/v1/privacy/stats/consents', {
      config: { ...readScopes, problems: ['range-reversed', 'range-too-long', 'unknown-purpose'] },
      schema: {
        summary: 'How many choices stood, and how many changed, by day, week or month',
        tags,
        querystring: z.strictObject({ purpose: purposeShape, interval: z.enum(intervals).optional(), scope: z.enum(['account', 'device']).optional(), ...spanShape }),
        response: {
          200: z.object({
            purpose: z.string(),
            interval: z.enum(intervals),
            scope: z.enum(['account', 'device']),
            ledger_head: headShape,
            series: z.array(z.object({
              start: shownTime, granted: count, denied: count, absent: count, lapsed: count, changes: z.object({ granted: count, denied: count, cleared: count })
            }))
          })
        }
      }
    }, async request => {
      const { purpose, interval = 'day', scope = 'account', from, to } = request.query
      const counted = await answerStatistics.consents(purpose, scope, interval, askedSpan(from, to, now()))
      if (typeof counted === 'string') throw new Problem(counted)
      return { purpose, interval, scope, ledger_head: showHead(counted.head), series: counted.series.map(({ start, ...counts }) => ({ start: showTime(start), ...counts })) }
    })

    app.get('/v1/privacy/stats/decisions', {
      config: { ...readScopes, problems: ['range-reversed', 'range-too-long'] },
      schema: {
        summary: 'What became of events, and whether the books balance',
        tags,
        querystring: z.strictObject({ group_by: groupShape.optional(), interval: z.enum(intervals).optional(), ...spanShape }),
        response: {
          200: z.object({
            from: shownTime,
            to: shownTime,
            rows: z.array(z.looseObject({ start: shownTime.optional(), outcome: z.string(), count })),
            books: z.object({
              received: count, accepted: count, dropped: count, rejected: count, stored: count, dropped_at_write: count, failed: count, pending: count, dead: count, balanced: z.boolean()
            }),
            ledger_head: headShape
          })
        }
      }
    }, async request => {
      const { group_by: columns = ['reason'], interval, from, to } = request.query
      const { span, rows, books: { droppedAtWrite, ...books }, head } = await answerStatistics.decisions(columns, interval, askedSpan(from, to, now()))
      return {
        from: showTime(span.from),
        to: showTime(span.to),
        rows: rows.map(({ start, outcome = '', count, ...row }) => ({ ...(start === undefined ? {} : { start: showTime(start) }), ...row, outcome: String(outcome), count })),
        books: { ...books, dropped_at_write: droppedAtWrite },
        ledger_head: showHead(head)
      }
    })
  }
}
