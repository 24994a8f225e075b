/** Takes what an erasure is about out of a batch that was given up. */
import type { Catalog } from '../domain/catalog.ts'
import type { Erasure } from '../domain/erasure.ts'
import type { DecisionCount } from '../domain/event.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { ErasureQueue, FoundBatch } from './erasure-ports.ts'
import { isReadable, type BatchRows, type CountedBatch, type EventTable, type FrameCodec, type QueuedBatch } from './ports.ts'
import { countedProduct, type StoreEvents } from './store-events.ts'

export interface SettleDeadDeps {
  catalog: Pick<Catalog, 'products'>
  /** What the writer does with batches. */
  storeEvents: StoreEvents
  table: Pick<EventTable, 'insertCounts'>
  queue: Pick<ErasureQueue, 'replace'>
  frameCodec: FrameCodec
  /** Under which the erased part of a request is counted; always the same for the same request and purpose. */
  partIdOf: (requestId: string, purpose: string) => string
  /** Told of a batch that cannot be taken apart, and is left. */
  onLeft: () => void
}

/** A batch that was tried before is not read again, only counted or taken apart. Resolves with undefined when the whole batch may be removed, else with what the erasure notes of it. */
export type SettleDead = (erasure: Erasure, found: FoundBatch, batch: QueuedBatch) => Promise<FoundBatch | undefined>

export function makeSettleDead (deps: SettleDeadDeps): SettleDead {
  return async ({ purpose }, found, batch) => {
    if (found.triedAt === undefined && isReadable(batch) && await isStored(batch)) return undefined
    const isPart = ({ outcome, purpose: counted }: DecisionCount): boolean => outcome === 'accepted' && counted === purpose
    const accepted = batch.counts.filter(({ outcome }) => outcome === 'accepted')
    if (purpose === null || accepted.every(isPart)) {
      await deps.table.insertCounts(countErased(deps.catalog, batch, batch.requestId))
      return undefined
    }
    const partId = deps.partIdOf(batch.requestId, purpose)
    const parted: FoundBatch = { ...found, partId, settled: 'parted' }
    if (!accepted.some(isPart)) return parted // Gone from it already.
    const rest = await withoutPurpose(batch, purpose)
    if (rest === undefined) {
      deps.onLeft()
      return { ...found, settled: 'left' }
    }
    // The part is a request of its own from here on: said again it is the same, and the rest keeps its own counts.
    await deps.table.insertCounts(countErased(deps.catalog, { ...batch, counts: batch.counts.filter(isPart) }, partId))
    // If somebody has just had it offered to the writer again, it stays open, like all that wait.
    return await deps.queue.replace(found, { ...rest, counts: batch.counts.filter(count => !isPart(count)) }) ? parted : found
  }

  /** Whether it was stored, as far as consent permits. If not, nobody can read it, not even to drop its rows one by one. */
  async function isStored (batch: QueuedBatch): Promise<boolean> {
    try {
      await deps.storeEvents([batch], true)
      return true
    } catch (error) {
      if (error instanceof Unavailable) throw error
      return false
    }
  }

  /** The batch without the rows of a purpose; undefined when it cannot be unpacked. */
  async function withoutPurpose (batch: QueuedBatch, purpose: string): Promise<QueuedBatch | undefined> {
    let rows: BatchRows
    try {
      rows = deps.frameCodec.read(batch)
    } catch {
      return undefined
    }
    return { ...batch, body: deps.frameCodec.write({ ...rows, frames: rows.frames.filter(frame => frame.purpose !== purpose) }) }
  }
}

/** Says of every event that was accepted that it is erased; one that came twice in its request counts as stored once, as the writer says it. */
function countErased (catalog: SettleDeadDeps['catalog'], batch: QueuedBatch, requestId: string): CountedBatch[] {
  const { receivedAt, counts } = batch
  const about = { requestId, receivedAt, ...countedProduct(catalog, batch) }
  const atWrite = counts.filter(({ outcome }) => outcome === 'accepted').map((count): DecisionCount =>
    count.reason === 'duplicate' ? { ...count, outcome: 'stored' } : { ...count, outcome: 'dropped', reason: 'erased' })
  return [{ ...about, stage: 'intake', counts }, { ...about, stage: 'write', counts: atWrite }]
}
