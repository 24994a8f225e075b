/** What the questions of the privacy team have in common: how they are asked, and how answers show the ledger. */
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { dayMs, spanOf, type Span, type SpanEnd } from '../../domain/calendar.ts'
import type { ChoiceThen, Clocks } from '../../domain/point-in-time.ts'
import { callerOfRequest } from '../auth.ts'
import { Problem } from '../problem.ts'
import { instantShape, showTime, shownTime } from '../shapes.ts'

export const readScopes = { scope: ['privacy:read', 'privacy:admin'] } as const
export const tags = ['privacy team']

export const purposeShape = z.string().regex(/^[a-z0-9_]{1,64}$/, 'must be the id of a purpose')

const clocks = { as_of: instantShape.optional(), known_at: instantShape.optional() }
export const clocksShape = z.strictObject(clocks)
export const clocksOf = ({ as_of: asOf, known_at: knownAt }: z.infer<typeof clocksShape>): Clocks => ({ asOf, knownAt })

/** How many an answer shows at most, as it stands in an address. */
export function limitShape (max: number) {
  const message = `must be a number from 1 to ${String(max)}`
  return z.string().regex(/^[1-9][0-9]{0,3}$/, message).transform(Number).refine(limit => limit <= max, message).optional()
}

export const cursorShape = z.string().min(1, 'must not be empty').max(4000, 'is too long').optional()

/** Who asked what: a cursor is good for the same question by the same caller. */
export function questionOf (request: FastifyRequest, name: string, question: Record<string, unknown>): string {
  return JSON.stringify([name, callerOfRequest(request).subject, question])
}

/** What an address says in bytes that are no UTF-8 would be taken for other text than was meant. @throws Problem */
export async function requireReadableQuery (request: FastifyRequest): Promise<void> {
  try {
    await Promise.resolve(decodeURIComponent(request.url))
  } catch {
    throw new Problem('invalid-request', { errors: [{ pointer: '', detail: 'the address is not UTF-8, percent-encoded' }] })
  }
}

/** A time, or a day that stands for all of it; as its first and last moment, and the one it is counted to. */
const boundShape = z.string().meta({ description: 'A day, or an RFC 3339 time with a zone' }).pipe(z.union([
  z.iso.date().transform(day => ({ first: Date.parse(day), last: Date.parse(day) + dayMs - 1, end: Date.parse(day) + dayMs })),
  instantShape.transform(time => ({ first: time, last: time, end: time }))
], 'must be a day or an RFC 3339 time with a zone, between 1971 and 2199'))
  .refine(({ first, end }) => first >= Date.UTC(1971, 0) && end <= Date.UTC(2200, 0), 'must lie between 1971 and 2199')
export const spanShape = { from: boundShape.transform(({ first }) => first).optional(), to: boundShape.optional() }

/** The span that is asked for. @throws Problem when it is none, or too long */
export function askedSpan (from: number | undefined, to: SpanEnd | undefined, now: number): Span {
  const span = spanOf(from, to, now)
  if (typeof span === 'string') throw new Problem(span)
  return span
}

export const headShape = z.object({ entries: z.int(), position: z.string() })
export const choicesShape = z.record(z.string(), z.object({
  state: z.enum(['absent', 'granted', 'denied']), since: shownTime.nullable(), entry_id: z.string().nullable(), lapsed: z.literal(true).optional()
}))

export function showChoicesThen (choices: Record<string, ChoiceThen>): z.infer<typeof choicesShape> {
  return Object.fromEntries(Object.entries(choices).map(([purpose, { state, since, entryId, lapsed }]) =>
    [purpose, { state, since: since === null ? null : showTime(since), entry_id: entryId, ...(lapsed ? { lapsed: true as const } : {}) }]))
}
