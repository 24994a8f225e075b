/** What becomes of a batch: each event is judged by the catalogue and by consent, and what is permitted is packed for the queue. */
import { findEvent, governingScope, type Catalog, type EventDefinition } from '../domain/catalog.ts'
import { permissionFor, type Permission, type Standing } from '../domain/consent.ts'
import { capturedAt, type EventBatch, type EventOutcome, type SentEvent } from '../domain/event.ts'
import { judgeEvent, type PermissionOf } from '../domain/judgement.ts'
import { lapsedSince } from '../domain/notice.ts'
import { makeTally } from '../domain/tally.ts'
import { makeFrameSorter } from './frames.ts'
import type { BatchOwner, FrameCodec, QueuedBatch } from './ports.ts'

export interface JudgeBatchDeps {
  catalog: Catalog
  frameCodec: FrameCodec
  /** A keyed pseudonym of an account or a device; empty for none. */
  pseudonym: (kind: 'account' | 'device', id: string | undefined) => string
  eventAgeMaxMs: number
}

/** What a batch is judged by: whose it is, what that person permits, and when it was received (epoch ms), under which id. */
export interface Grounds { owner: BatchOwner, standing: Standing, receivedAt: number, requestId: string }

/** What became of one event, and which it was; `id` is null where it could not be read. */
export interface EventResult { index: number, id: string | null, outcome: EventOutcome }

/** What its client is told of a batch. */
export interface BatchVerdict {
  batchId: string
  accepted: number
  dropped: number
  rejected: number
  /** Of the events that were not simply accepted, in the order of the batch. */
  results: readonly EventResult[]
  /** The revision of the account's choices (of the device's, when signed out). */
  revision: number
  /** The optional purposes that this client should stop collecting. */
  stop: string[]
}

export type JudgeBatch = (batch: EventBatch, grounds: Grounds) => { verdict: BatchVerdict, queued: QueuedBatch }

export function makeJudgeBatch (deps: JudgeBatchDeps): JudgeBatch {
  return ({ batchId, sentAt, product, elements }, { owner, standing, receivedAt, requestId }) => {
    const permissionOf = makePermissions(deps.catalog, standing, product, receivedAt)
    const oldest = receivedAt - deps.eventAgeMaxMs
    const tally = makeTally()
    const sorter = makeFrameSorter()
    const acceptedIds = new Set<string>()
    const totals = { accepted: 0, dropped: 0, rejected: 0 }
    const results: EventResult[] = []

    const judge = (event: SentEvent, definition: EventDefinition | undefined): EventOutcome => {
      if (acceptedIds.has(event.id)) return { outcome: 'accepted', reason: 'duplicate' }
      const captured = capturedAt(event.occurredAt, sentAt, receivedAt)
      const judged = judgeEvent(definition, permissionOf, event, captured, oldest)
      if (judged.outcome !== 'accepted') return judged
      acceptedIds.add(event.id)
      sorter.add(event, captured, judged.text, judged)
      return { outcome: 'accepted', reason: judged.reason, stripped: judged.stripped }
    }

    for (const [index, element] of elements.entries()) {
      const { event, fault } = element
      const definition = event === undefined ? undefined : event.definition ?? findEvent(deps.catalog, event.name, event.version)
      const outcome = event === undefined ? fault : judge(event, definition)
      tally.count(definition, outcome)
      totals[outcome.outcome]++
      if (isWorthTelling(outcome)) results.push({ index, id: event === undefined ? element.id : event.id, outcome })
    }

    const frames = sorter.frames()
    return {
      verdict: {
        batchId,
        ...totals,
        results,
        revision: (standing.account ?? standing.deviceAlone)?.revision ?? 0,
        stop: deps.catalog.optionalPurposes.filter(purpose => !permissionOf(purpose).allowed)
      },
      queued: {
        schema: 5,
        requestId,
        owner,
        product: product.name,
        release: product.release,
        receivedAt,
        body: frames.length === 0 ? '' : deps.frameCodec.write({
          productVersion: product.version ?? '',
          accountRef: deps.pseudonym('account', owner.accountId),
          deviceRef: deps.pseudonym('device', owner.deviceId),
          batchId,
          sentAt,
          frames
        }),
        counts: tally.counts()
      }
    }
  }
}

function isWorthTelling (outcome: EventOutcome): boolean {
  return outcome.outcome !== 'accepted' || outcome.reason === 'duplicate' || (outcome.stripped !== undefined && outcome.stripped.length > 0)
}

/** What a standing permits at `now` (epoch ms) for a product release, looked up once per purpose. */
export function makePermissions (catalog: Catalog, standing: Standing, product: { name: string, release: number }, now: number): PermissionOf {
  const scope = governingScope(catalog, product.name, product.release)
  const permissions = new Map<string, Permission>(catalog.purposes.map(purpose =>
    [purpose.id, permissionFor(purpose, standing, scope, choice => lapsedSince(catalog.notices, purpose.id, choice, now) !== undefined)]))
  return purposeId => permissions.get(purposeId) ?? { allowed: false, reason: 'not_granted', erasedAt: 0 }
}
