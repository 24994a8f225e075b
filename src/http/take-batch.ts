/** A posted batch, from its body to the text of its answer. */
import type { AcceptEvents, JudgedBatch, OtherOwner, TakenBatch } from '../flows/accept-events.ts'
import { inflateBody, type BodyLimits } from './body.ts'
import type { Poster, PostedBytes } from './judge-posted.ts'
import { findDeviceId } from './read-batch.ts'

export interface PostedBatch {
  body: Buffer
  /** The Content-Encoding header. */
  encoding: string | undefined
  poster: Poster
  /** Told by how much the body is larger than what was sent; may throw that there is no room for it. */
  onInflated: (moreBytes: number) => void
}

/** Resolves once what was accepted is durable. Throws a `Problem`, or `Unavailable`, and then nothing of the batch was kept. */
export type TakeBatch = (posted: PostedBatch) => Promise<TakenBatch>

/** As `JudgePosted`, here or elsewhere. It takes the bytes with it, and gives them back with the name of another owner. */
export type JudgeSomewhere = (posted: PostedBytes) => Promise<JudgedBatch | OtherOwner & Pick<PostedBytes, 'bytes'>>

export function makeTakeBatch (acceptEvents: AcceptEvents, judge: JudgeSomewhere, limits: BodyLimits): TakeBatch {
  const accept = ({ poster, onInflated, body }: PostedBatch, inflated: Buffer): Promise<TakenBatch> => {
    if (inflated.length > body.length) onInflated(inflated.length - body.length)
    let bytes = inflated
    return acceptEvents({ ...poster, deviceId: poster.deviceId ?? findDeviceId(bytes) }, async grounds => {
      const judged = await judge({ bytes, poster, grounds })
      if ('otherOwner' in judged) bytes = judged.bytes
      return judged
    })
  }
  // Step by step rather than by `await`: what is suspended would hold the body until the batch is durable.
  return posted => inflateBody(posted.body, posted.encoding, limits).then(bytes => accept(posted, bytes))
}
