/** How an erasure is shown, to the person and to the privacy team alike. */
import { z } from 'zod'
import { describeSubject, type Erasure } from '../domain/erasure.ts'
import type { ErasureProgress } from '../flows/erasure-ports.ts'
import { showTime, shownTime } from './shapes.ts'

export const erasureParams = z.strictObject({ id: z.string().min(1).max(64) })

/** `waiting`: batches of the subject are still in the queue. `erasing`: rows are being deleted. */
const status = z.enum(['waiting', 'erasing', 'done'])
const rowCounts = z.record(z.string(), z.int())
const removed = z.object({ batches: z.int(), events_removed: z.int() })
const certificate = z.object({
  id: z.string(),
  subject: z.object({ account_id: z.string().optional(), device_id: z.string().optional() }),
  purpose: z.string().optional(),
  reason: z.string(),
  requested_by: z.enum(['person', 'team', 'withdrawal']),
  requested_at: shownTime,
  erased_until: shownTime,
  completed_at: shownTime,
  tables: z.array(z.object({ table: z.string(), rows_before: z.int(), rows_after: z.int() })),
  queue: removed,
  dead_letters: removed,
  devices_forgotten: z.int(),
  kept: z.array(z.object({ table: z.string(), why: z.string() })),
  signature: z.string().optional()
})

export const requestedErasure = z.object({ id: z.string(), status, requested_at: shownTime })
export const shownErasure = requestedErasure.extend({
  subject: certificate.shape.subject,
  purpose: z.string().optional(),
  progress: z.object({
    rows_found: rowCounts.nullable(),
    hidden: z.boolean(),
    queue: z.object({ found: z.int(), remaining: z.int() }),
    checked_again: z.object({ at: shownTime, rows_found: rowCounts }).optional()
  }),
  certificate: certificate.optional()
})

export function showRequested ({ id, until }: Erasure): z.infer<typeof requestedErasure> {
  return { id, status: 'waiting', requested_at: showTime(until) }
}

export function showErasure ({ erasure, before, hidden, late, batches, certificate, again }: ErasureProgress): Record<string, unknown> {
  const done = certificate !== undefined
  return {
    ...showRequested(erasure),
    status: done ? 'done' : late === undefined ? 'waiting' : 'erasing',
    subject: describeSubject(erasure),
    ...(erasure.purpose === null ? {} : { purpose: erasure.purpose }),
    progress: {
      rows_found: before ?? null,
      hidden: hidden || done,
      queue: batches,
      ...(again === undefined ? {} : { checked_again: { at: showTime(again.at), rows_found: again.rows } })
    },
    ...(done ? { certificate } : {})
  }
}
