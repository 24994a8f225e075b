/** A posted batch from its bytes to what is queued of it and the text of its answer. It waits for nothing. */
import type { Caller } from '../domain/caller.ts'
import type { Catalog } from '../domain/catalog.ts'
import type { JudgedBatch, OtherOwner } from '../flows/accept-events.ts'
import type { BatchVerdict, EventResult, Grounds, JudgeBatch } from '../flows/judge-batch.ts'
import type { BatchOwner } from '../flows/ports.ts'
import { Problem } from './problem.ts'
import { readBatch, type BatchLimits } from './read-batch.ts'

/** Who posts, as far as a batch is concerned. */
export type Poster = Pick<Caller, 'accountId' | 'deviceId' | 'orgId' | 'region'>

/** `bytes`: of the body, inflated. */
export interface PostedBytes { bytes: Buffer, poster: Poster, grounds: Grounds }

/** Throws a `Problem` when the bytes are no batch, or not one that the poster may send. */
export type JudgePosted = (posted: PostedBytes) => JudgedBatch | OtherOwner

export function makeJudgePosted (judgeBatch: JudgeBatch, catalog: Catalog, limits: BatchLimits): JudgePosted {
  return ({ bytes, poster, grounds }) => {
    const { batch, deviceId } = readBatch(catalog, bytes, limits)
    const owner = ownerOf(poster, deviceId)
    if (!isSameOwner(owner, grounds.owner)) return { otherOwner: owner }
    const { verdict, queued } = judgeBatch(batch, grounds)
    return { queued, answer: showVerdict(verdict) }
  }
}

/** Whose events these are: the token's account, and the device of the token or, where it names none, of the request. */
export function ownerOf (poster: Poster, deviceId: string | undefined): BatchOwner {
  if (poster.deviceId !== undefined && deviceId !== undefined && poster.deviceId !== deviceId) throw new Problem('device-mismatch')
  return { accountId: poster.accountId, deviceId: poster.deviceId ?? deviceId, orgId: poster.orgId, region: poster.region }
}

function isSameOwner (one: BatchOwner, other: BatchOwner): boolean {
  return one.accountId === other.accountId && one.deviceId === other.deviceId && one.orgId === other.orgId && one.region === other.region
}

function showVerdict ({ batchId, accepted, dropped, rejected, results, revision, stop }: BatchVerdict): string {
  return JSON.stringify({ batch_id: batchId, accepted, dropped, rejected, results: results.map(showResult), consent: { revision, stop } })
}

function showResult ({ index, id, outcome }: EventResult): Record<string, unknown> {
  return { id, ...(id === null ? { index } : {}), ...outcome }
}
