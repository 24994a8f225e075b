/** What a job of the queue of events holds: a batch, its counts without the names of their fields. */
import type { DecisionCount } from '../domain/event.ts'
import type { QueuedBatch } from '../flows/ports.ts'

type StoredCount = [event: string, version: number, purpose: string, outcome: DecisionCount['outcome'], reason: string, count: number]

export type JobData = Omit<QueuedBatch, 'counts'> & { counts: readonly StoredCount[] }

export function toJobData ({ counts, ...batch }: QueuedBatch): JobData {
  return { ...batch, counts: counts.map(({ event, version, purpose, outcome, reason, count }) => [event, version, purpose, outcome, reason, count]) }
}

export function fromJobData ({ counts, ...batch }: JobData): QueuedBatch {
  return { ...batch, counts: counts.map(([event, version, purpose, outcome, reason, count]) => ({ event, version, purpose, outcome, reason, count })) }
}
