/** A batch arrives: each event is judged by the catalogue and by consent, and what is permitted is queued. */
import { findEvent, governingScope, type Catalog, type EventDefinition } from '../domain/catalog.ts'
import { permissionFor, type Permission, type Standing } from '../domain/consent.ts'
import { capturedAt, type DecisionCount, type EventBatch, type EventOutcome, type SentEvent } from '../domain/event.ts'
import { judgeEvent, type PermissionOf } from '../domain/judgement.ts'
import { lapsedSince } from '../domain/notice.ts'
import { makeTally } from '../domain/tally.ts'
import { makeFrameSorter } from './frames.ts'
import { readStanding, type BatchOwner, type ConsentReader, type DeviceRegister, type EventQueue, type FrameCodec } from './ports.ts'

export interface AcceptEventsDeps {
  catalog: Catalog
  consents: ConsentReader
  devices: Pick<DeviceRegister, 'see'>
  queue: EventQueue
  frameCodec: FrameCodec
  /** A keyed pseudonym of an account or a device; empty for none. */
  pseudonym: (kind: 'account' | 'device', id: string | undefined) => string
  eventAgeMaxMs: number
  now: () => number
  newId: () => string
}

export interface AcceptedBatch {
  accepted: number
  dropped: number
  rejected: number
  /** One outcome per element of the batch, in its order. */
  outcomes: readonly EventOutcome[]
  /** The same, counted. */
  counts: readonly DecisionCount[]
  /** The revision of the account's choices (of the device's, when signed out). */
  revision: number
  /** The optional purposes that this client should stop collecting. */
  stop: string[]
}

/** Resolves once what was accepted is durable in the queue. Throws `Unavailable`, and then nothing was acknowledged. */
export type AcceptEvents = (owner: BatchOwner, batch: EventBatch) => Promise<AcceptedBatch>

export function makeAcceptEvents (deps: AcceptEventsDeps): AcceptEvents {
  return async (owner, batch) => {
    const receivedAt = deps.now()
    const standing = await readStanding(deps.consents, owner)
    const permissionOf = makePermissions(deps.catalog, standing, batch.product, receivedAt)
    const tally = makeTally()
    const acceptedIds = new Set<string>()
    const sorter = makeFrameSorter({
      product: batch.product.name,
      release: batch.product.release,
      productVersion: batch.product.version ?? '',
      accountRef: deps.pseudonym('account', owner.accountId),
      deviceRef: deps.pseudonym('device', owner.deviceId),
      receivedAt,
      batchId: batch.batchId
    })

    const judge = (event: SentEvent, definition: EventDefinition | undefined): EventOutcome => {
      if (acceptedIds.has(event.id)) return { outcome: 'accepted', reason: 'duplicate' }
      const captured = capturedAt(event.occurredAt, batch.sentAt, receivedAt)
      const judged = judgeEvent(definition, permissionOf, event, captured, receivedAt - deps.eventAgeMaxMs)
      if (judged.outcome !== 'accepted') return judged
      acceptedIds.add(event.id)
      sorter.add({
        eventId: event.id,
        name: event.name,
        version: event.version,
        occurredAt: event.occurredAt,
        capturedAt: captured,
        purpose: judged.definition.purpose.id,
        reason: judged.reason,
        consentEntry: judged.entry,
        properties: JSON.stringify(judged.properties)
      }, judged.fieldPurposes)
      return { outcome: 'accepted', reason: judged.reason, stripped: judged.stripped }
    }
    const outcomes = batch.elements.map(({ event, fault }): EventOutcome => {
      const definition = event === undefined ? undefined : findEvent(deps.catalog, event.name, event.version)
      const outcome = event === undefined ? fault : judge(event, definition)
      tally.count(definition, outcome)
      return outcome
    })

    if (owner.accountId !== undefined && owner.deviceId !== undefined) {
      await deps.devices.see(owner.accountId, owner.deviceId, batch.product.name, batch.product.release, receivedAt)
    }
    const { frames, lines } = sorter.finish()
    const counts = tally.counts()
    await deps.queue.add({
      schema: 1,
      requestId: deps.newId(),
      owner,
      product: batch.product.name,
      release: batch.product.release,
      receivedAt,
      frames,
      body: await deps.frameCodec.pack(lines),
      counts
    })
    return {
      ...countOutcomes(outcomes),
      outcomes,
      counts,
      revision: (standing.account ?? standing.deviceAlone)?.revision ?? 0,
      stop: deps.catalog.optionalPurposes.filter(purpose => !permissionOf(purpose).allowed)
    }
  }
}

/** What a standing permits at `now` (epoch ms) for a product release, looked up once per purpose. */
export function makePermissions (catalog: Catalog, standing: Standing, product: { name: string, release: number }, now: number): PermissionOf {
  const scope = governingScope(catalog, product.name, product.release)
  const permissions = new Map<string, Permission>(catalog.purposes.map(purpose =>
    [purpose.id, permissionFor(purpose, standing, scope, choice => lapsedSince(catalog.notices, purpose.id, choice, now) !== undefined)]))
  return purposeId => permissions.get(purposeId) ?? { allowed: false, reason: 'not_granted', erasedAt: 0 }
}

function countOutcomes (outcomes: readonly EventOutcome[]): { accepted: number, dropped: number, rejected: number } {
  const totals = { accepted: 0, dropped: 0, rejected: 0 }
  for (const { outcome } of outcomes) totals[outcome]++
  return totals
}
