/** What a batch of events is, and the rules for its times. Times are epoch milliseconds. */
import type { EventDefinition } from './catalog.ts'
import type { AcceptReason, DropReason } from './consent.ts'

export interface ProductRelease {
  name: string
  release: number
  version: string | undefined
}

/** An event as a product sent it, of the right shape but not yet judged. */
export interface SentEvent {
  id: string
  name: string
  version: number
  occurredAt: number
  /** Undefined where they were found valid as they are written, and nobody had to read them. */
  properties: Record<string, unknown> | undefined
  /** The properties as JSON.stringify writes them, where they came so. */
  text?: string
  /** What the catalogue says of it, where that was looked up. */
  definition?: EventDefinition | undefined
}

/** The properties of an event, read if they were not yet. */
export function propertiesOf ({ properties, text = '{}' }: SentEvent): Record<string, unknown> {
  return properties ?? JSON.parse(text) as Record<string, unknown>
}

/** One element of a batch: an event, or why it is none. `id` is what could be read of its id. */
export type BatchElement =
  { event: SentEvent, fault?: undefined } |
  { event?: undefined, fault: Rejection, id: string | null }

export interface EventBatch {
  batchId: string
  sentAt: number
  product: ProductRelease
  elements: readonly BatchElement[]
}

export type RejectReason =
  'invalid_event' | 'invalid_string' | 'invalid_number' | 'duplicate_key' | 'event_too_large' |
  'unknown_event' | 'invalid_properties' | 'too_old'

export interface Rejection { outcome: 'rejected', reason: RejectReason, detail?: string }

/** What became of one event of a batch. */
export type EventOutcome =
  { outcome: 'accepted', reason: AcceptReason | 'duplicate', stripped?: readonly string[] } |
  { outcome: 'dropped', reason: DropReason } |
  Rejection

/**
 * When an event was captured by the server's clock: the client's clock is corrected by what it said at sending,
 * and nothing is captured after it was received.
 */
export function capturedAt (occurredAt: number, sentAt: number, receivedAt: number): number {
  return Math.min(receivedAt, occurredAt + (receivedAt - sentAt))
}

/** A row of `events`, in the order of its columns. */
export interface EventRow {
  eventId: string
  name: string
  version: number
  product: string
  release: number
  productVersion: string
  accountRef: string
  deviceRef: string
  occurredAt: number
  capturedAt: number
  receivedAt: number
  purpose: string
  reason: string
  consentEntry: string | null
  /** The properties as JSON text. */
  properties: string
  batchId: string
}

/** How many events of one kind met one fate. Holds no account, device or payload. */
export interface DecisionCount {
  event: string
  version: number
  purpose: string
  outcome: 'accepted' | 'dropped' | 'rejected' | 'stored' | 'failed'
  reason: string
  count: number
}
