/** A posted batch, from its body to the text of its answer. */
import type { Caller } from '../domain/caller.ts'
import type { Catalog } from '../domain/catalog.ts'
import type { DecisionCount } from '../domain/event.ts'
import type { AcceptedBatch, AcceptEvents, EventResult } from '../flows/accept-events.ts'
import type { BatchOwner } from '../flows/ports.ts'
import { inflateBody } from './body.ts'
import { Problem } from './problem.ts'
import { findDeviceId, readBatch, type BatchLimits } from './read-batch.ts'

export interface PostedBatch {
  body: Buffer
  /** The Content-Encoding header. */
  encoding: string | undefined
  poster: Poster
  /** Told by how much the body is larger than what was sent; may throw that there is no room for it. */
  onInflated: (moreBytes: number) => void
}

/** Who posts, as far as a batch is concerned. */
export type Poster = Pick<Caller, 'accountId' | 'deviceId' | 'orgId' | 'region'>

/** The JSON text of the answer, and what became of the events. */
export interface TakenBatch { answer: string, counts: readonly DecisionCount[] }

/** Resolves once what was accepted is durable. Throws a `Problem`, or `Unavailable`, and then nothing of the batch was kept. */
export type TakeBatch = (posted: PostedBatch) => Promise<TakenBatch>

export function makeTakeBatch (acceptEvents: AcceptEvents, catalog: Catalog, limits: BatchLimits): TakeBatch {
  const accept = ({ poster, onInflated, body }: PostedBatch, bytes: Buffer): Promise<AcceptedBatch> => {
    if (bytes.length > body.length) onInflated(bytes.length - body.length)
    return acceptEvents({ ...poster, deviceId: poster.deviceId ?? findDeviceId(bytes) }, () => {
      const { batch, deviceId } = readBatch(catalog, bytes, limits)
      return { owner: ownerOf(poster, deviceId), batch }
    })
  }
  // Step by step rather than by `await`: what is suspended would hold the body until the batch is durable.
  return posted => inflateBody(posted.body, posted.encoding, limits).then(bytes => accept(posted, bytes)).then(showBatch)
}

function showBatch ({ batchId, accepted, dropped, rejected, results, counts, revision, stop }: AcceptedBatch): TakenBatch {
  return { answer: JSON.stringify({ batch_id: batchId, accepted, dropped, rejected, results: results.map(showResult), consent: { revision, stop } }), counts }
}

/** Whose events these are: the token's account, and the device of the token or, where it names none, of the request. */
export function ownerOf (poster: Poster, deviceId: string | undefined): BatchOwner {
  if (poster.deviceId !== undefined && deviceId !== undefined && poster.deviceId !== deviceId) throw new Problem('device-mismatch')
  return { accountId: poster.accountId, deviceId: poster.deviceId ?? deviceId, orgId: poster.orgId, region: poster.region }
}

function showResult ({ index, id, outcome }: EventResult): Record<string, unknown> {
  return { id, ...(id === null ? { index } : {}), ...outcome }
}
