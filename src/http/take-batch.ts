/** A posted batch, from its body to the text of its answer. */
import type { Caller } from '../domain/caller.ts'
import type { BatchElement, DecisionCount, EventOutcome } from '../domain/event.ts'
import type { AcceptEvents } from '../flows/accept-events.ts'
import type { BatchOwner } from '../flows/ports.ts'
import { Problem } from './problem.ts'
import { readBatch, type BatchLimits } from './read-batch.ts'

export interface PostedBatch {
  body: Uint8Array
  /** The Content-Encoding header. */
  encoding: string | undefined
  poster: Poster
}

/** Who posts, as far as a batch is concerned. */
export type Poster = Pick<Caller, 'accountId' | 'deviceId' | 'orgId' | 'region'>

/** The JSON text of the answer, and what became of the events. */
export interface TakenBatch { answer: string, counts: readonly DecisionCount[] }

/** Resolves once what was accepted is durable. Throws a `Problem`, or `Unavailable`, and then nothing of the batch was kept. */
export type TakeBatch = (posted: PostedBatch) => Promise<TakenBatch>

export function makeTakeBatch (acceptEvents: AcceptEvents, limits: BatchLimits): TakeBatch {
  return async ({ body, encoding, poster }) => {
    const { batch, deviceId } = await readBatch(body, encoding, limits)
    const { accepted, dropped, rejected, outcomes, counts, revision, stop } = await acceptEvents(ownerOf(poster, deviceId), batch)
    const results = outcomes.flatMap((outcome, index) => isWorthTelling(outcome) ? [showOutcome(outcome, batch.elements[index], index)] : [])
    return { answer: JSON.stringify({ batch_id: batch.batchId, accepted, dropped, rejected, results, consent: { revision, stop } }), counts }
  }
}

/** Whose events these are: the token's account, and the device of the token or, where it names none, of the request. */
export function ownerOf (poster: Poster, deviceId: string | undefined): BatchOwner {
  if (poster.deviceId !== undefined && deviceId !== undefined && poster.deviceId !== deviceId) throw new Problem('device-mismatch')
  return { accountId: poster.accountId, deviceId: poster.deviceId ?? deviceId, orgId: poster.orgId, region: poster.region }
}

function isWorthTelling (outcome: EventOutcome): boolean {
  return outcome.outcome !== 'accepted' || outcome.reason === 'duplicate' || ('stripped' in outcome && outcome.stripped.length > 0)
}

function showOutcome (outcome: EventOutcome, element: BatchElement | undefined, index: number): Record<string, unknown> {
  const id = element?.event?.id ?? (element !== undefined && 'id' in element ? element.id : null)
  return { id, ...(id === null ? { index } : {}), ...outcome }
}
