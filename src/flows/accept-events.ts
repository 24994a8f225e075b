/** A batch arrives: each event is judged by the catalogue and by consent, and what is permitted is queued. */
import { findEvent, governingScope, type Catalog, type EventDefinition } from '../domain/catalog.ts'
import { permissionFor, type Permission, type Standing } from '../domain/consent.ts'
import { capturedAt, type DecisionCount, type EventBatch, type EventOutcome, type ProductRelease, type SentEvent } from '../domain/event.ts'
import { judgeEvent, type PermissionOf } from '../domain/judgement.ts'
import { lapsedSince } from '../domain/notice.ts'
import { makeTally } from '../domain/tally.ts'
import { makeFrameSorter } from './frames.ts'
import { inTurns } from './in-turns.ts'
import { readStanding, type BatchOwner, type BatchRows, type ConsentReader, type DeviceRegister, type EventQueue, type FrameCodec, type QueuedBatch } from './ports.ts'

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

/** A batch as it was read, and whose it is. */
export interface OwnedBatch { owner: BatchOwner, batch: EventBatch }

/** What became of one event, and which it was; `id` is null where it could not be read. */
export interface EventResult { index: number, id: string | null, outcome: EventOutcome }

export interface AcceptedBatch {
  batchId: string
  accepted: number
  dropped: number
  rejected: number
  /** Of the events that were not simply accepted, in the order of the batch. */
  results: readonly EventResult[]
  /** What became of all events, counted. */
  counts: readonly DecisionCount[]
  /** The revision of the account's choices (of the device's, when signed out). */
  revision: number
  /** The optional purposes that this client should stop collecting. */
  stop: string[]
}

/**
 * `likely`: whose batch it seems to be before it is read. Resolves once what was accepted is durable in the queue. Throws
 * `Unavailable`, or what `read` throws, and then nothing was acknowledged.
 */
export type AcceptEvents = (likely: BatchOwner, read: () => OwnedBatch) => Promise<AcceptedBatch>

/** How many batches are read in a row: each takes some tenths of a millisecond, and whoever asks for anything else waits no longer. */
const readTogether = 4

/**
 * Consent is asked for first. Then a batch is read, judged and serialised in one go. While it waits for Redis little is
 * left of it: `judge` is through by then, and no function that still waits holds what it read.
 */
export function makeAcceptEvents (deps: AcceptEventsDeps): AcceptEvents {
  const turn = inTurns(readTogether)
  const judge = async (likely: BatchOwner, read: () => OwnedBatch): Promise<JudgedBatch> => {
    const receivedAt = deps.now()
    const likelyStanding = await readStanding(deps.consents, likely)
    await turn()
    const owned = read()
    const { owner } = owned
    const standing = isSameOwner(owner, likely) ? likelyStanding : await readStanding(deps.consents, owner)
    const { taken, rows, product } = judgeBatch(deps, owned, standing, receivedAt)
    const queued: QueuedBatch = {
      schema: 4,
      requestId: deps.newId(),
      owner,
      product: product.name,
      release: product.release,
      receivedAt,
      ...rows.frames.length === 0 ? { body: '', bytes: 0 } : deps.frameCodec.pack(rows),
      counts: taken.counts
    }
    return { taken, queued }
  }
  const keep = async ({ taken, queued }: JudgedBatch): Promise<AcceptedBatch> => {
    const { owner: { accountId, deviceId }, product, release, receivedAt } = queued
    if (accountId !== undefined && deviceId !== undefined) await deps.devices.see(accountId, deviceId, product, release, receivedAt)
    await deps.queue.add(queued)
    return taken
  }
  return (likely, read) => judge(likely, read).then(keep)
}

interface JudgedBatch { taken: AcceptedBatch, queued: QueuedBatch }

function judgeBatch (
  deps: AcceptEventsDeps, { owner, batch }: OwnedBatch, standing: Standing, receivedAt: number
): { taken: AcceptedBatch, rows: BatchRows, product: ProductRelease } {
  const { batchId, sentAt, product } = batch
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

  for (const [index, element] of batch.elements.entries()) {
    const { event, fault } = element
    const definition = event === undefined ? undefined : findEvent(deps.catalog, event.name, event.version)
    const outcome = event === undefined ? fault : judge(event, definition)
    tally.count(definition, outcome)
    totals[outcome.outcome]++
    if (isWorthTelling(outcome)) results.push({ index, id: event === undefined ? element.id : event.id, outcome })
  }
  return {
    taken: {
      batchId,
      ...totals,
      results,
      counts: tally.counts(),
      revision: (standing.account ?? standing.deviceAlone)?.revision ?? 0,
      stop: deps.catalog.optionalPurposes.filter(purpose => !permissionOf(purpose).allowed)
    },
    rows: {
      productVersion: product.version ?? '',
      accountRef: deps.pseudonym('account', owner.accountId),
      deviceRef: deps.pseudonym('device', owner.deviceId),
      batchId,
      sentAt,
      frames: sorter.frames()
    },
    product
  }
}

function isWorthTelling (outcome: EventOutcome): boolean {
  return outcome.outcome !== 'accepted' || outcome.reason === 'duplicate' || (outcome.stripped !== undefined && outcome.stripped.length > 0)
}

function isSameOwner (one: BatchOwner, other: BatchOwner): boolean {
  return one.accountId === other.accountId && one.deviceId === other.deviceId && one.orgId === other.orgId && one.region === other.region
}

/** What a standing permits at `now` (epoch ms) for a product release, looked up once per purpose. */
export function makePermissions (catalog: Catalog, standing: Standing, product: { name: string, release: number }, now: number): PermissionOf {
  const scope = governingScope(catalog, product.name, product.release)
  const permissions = new Map<string, Permission>(catalog.purposes.map(purpose =>
    [purpose.id, permissionFor(purpose, standing, scope, choice => lapsedSince(catalog.notices, purpose.id, choice, now) !== undefined)]))
  return purposeId => permissions.get(purposeId) ?? { allowed: false, reason: 'not_granted', erasedAt: 0 }
}
