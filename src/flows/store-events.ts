/** Batches leave the queue: consent is asked again, what still stands is inserted, what does not is counted and gone. */
import { findEvent, type Catalog } from '../domain/catalog.ts'
import { decide, type DropReason } from '../domain/consent.ts'
import { stripFields, type PermissionOf } from '../domain/judgement.ts'
import { mayMeetErased } from '../domain/erasure.ts'
import type { DecisionCount } from '../domain/event.ts'
import { makeTally } from '../domain/tally.ts'
import { makePermissions } from './judge-batch.ts'
import { frameLineOf, keepRows, rowLinesOf } from './frames.ts'
import type { BatchRows, ConsentReader, CountedBatch, EventTable, FailedRow, Frame, FrameCodec, QueuedBatch } from './ports.ts'

export interface StoreEventsDeps {
  catalog: Catalog
  consents: ConsentReader
  table: EventTable
  frameCodec: FrameCodec
  now: () => number
}

export interface StoredBatches {
  stored: number
  /** Drops just before the insert, by reason. */
  dropped: ReadonlyMap<DropReason, number>
  /** Rows that the table refused for good. */
  failed: number
}

/**
 * Stores what consent permits at this moment. Throws when the table cannot be reached; the same batches may then be
 * given again, since the same rows again are the same rows. `again`: whether they may have been given before.
 */
export type StoreEvents = (batches: readonly QueuedBatch[], again: boolean) => Promise<StoredBatches>

/** What becomes of one batch: the rows to insert, and those that consent no longer covers. */
interface Fate { batch: QueuedBatch, rows: BatchRows | undefined, mayMeetErased: boolean, kept: Frame[], dropped: DroppedRow[] }
interface DroppedRow { eventId: string, name: string, version: number, purpose: string, reason: DropReason }

export function makeStoreEvents (deps: StoreEventsDeps): StoreEvents {
  return async (batches, again) => {
    // Unpacked before consent is asked: the less lies between the answer and the insert, the better.
    const unpacked = batches.map(batch => batch.body === '' ? undefined : deps.frameCodec.read(batch))
    const standings = await deps.consents.readStandings(batches.map(batch => batch.owner))
    const fates = batches.map((batch, index): Fate => {
      const standing = standings[index]
      if (standing === undefined) throw new Error('a standing is missing')
      const permissionOf = makePermissions(deps.catalog, standing, { name: batch.product, release: batch.release }, deps.now())
      const rows = unpacked[index]
      const fate: Fate = { batch, rows, mayMeetErased: mayMeetErased(standing, deps.catalog), kept: [], dropped: [] }
      for (const frame of rows?.frames ?? []) {
        const permitted = stillPermitted(deps, frame, permissionOf, fate.dropped)
        if (permitted.eventIds.length > 0) fate.kept.push(permitted)
      }
      return fate
    })
    // By its times a row that comes again may look new, if its client's clock was fast or a new yes was given: its id tells.
    const alreadyStored = await dropErased(deps.table, fates.filter(fate => fate.mayMeetErased))
    await deps.table.rememberErased(fates.flatMap(({ dropped }) => dropped.filter(({ reason }) => reason === 'erased').map(({ eventId }) => eventId)))

    const failed = await insertRows(deps.table, fates, alreadyStored)
    if (failed.length > 0) await deps.table.insertFailed(failed)
    // What an earlier try has stored is stored, though consent has ended since: it was permitted then, and is counted so.
    const stored = again ? await deps.table.findStored(fates.flatMap(({ dropped }) => dropped.map(row => row.eventId))) : new Set<string>()
    await deps.table.insertCounts(fates.flatMap(fate => countsOf(deps.catalog, fate, failed, stored)))
    const dropped = fates.flatMap(fate => fate.dropped).filter(row => !stored.has(row.eventId))
    const rows = fates.flatMap(({ kept }) => kept).reduce((sum, frame) => sum + frame.eventIds.length, 0)
    return { stored: rows - failed.length, dropped: countBy(dropped, row => row.reason), failed: failed.length }
  }
}

/**
 * Drops from what is kept the rows that were erased before, and says which rows are stored already. Those are not inserted
 * again, and count as stored: their erasure may be under way, and would not find a copy that looks newer. In this order,
 * since an erasure remembers its rows before it hides them.
 */
async function dropErased (table: EventTable, fates: readonly Fate[]): Promise<ReadonlySet<string>> {
  const ids = fates.flatMap(({ kept }) => kept.flatMap(({ eventIds }) => eventIds))
  const stored = await table.findStored(ids)
  const erased = await table.findErased(ids)
  if (erased.size === 0) return stored
  for (const fate of fates) {
    for (const { eventIds, name, version, purpose } of fate.kept) {
      for (const eventId of eventIds) if (erased.has(eventId)) fate.dropped.push({ eventId, name, version, purpose, reason: 'erased' })
    }
    fate.kept = fate.kept.map(frame => without(frame, erased)).filter(({ eventIds }) => eventIds.length > 0)
  }
  return stored
}

function without (frame: Frame, eventIds: ReadonlySet<string>): Frame {
  return eventIds.size === 0 ? frame : keepRows(frame, index => !eventIds.has(frame.eventIds[index] ?? ''))
}

/** What of a frame consent still covers. A frame that is covered whole is not looked into. */
function stillPermitted (deps: StoreEventsDeps, frame: Frame, permissionOf: PermissionOf, dropped: DroppedRow[]): Frame {
  const { name, version, purpose, fieldPurposes, firstCapturedAt } = frame
  const covers = (needed: string): boolean => decide(permissionOf(needed), firstCapturedAt).outcome === 'accepted'
  if ([purpose, ...fieldPurposes].every(covers)) return frame
  const definition = findEvent(deps.catalog, name, version)
  const keeps = (index: number): boolean => {
    const decision = decide(permissionOf(purpose), frame.capturedAt[index] ?? NaN, frame.occurredAt[index])
    if (decision.outcome === 'accepted' && definition !== undefined) return true
    // Of an event that the catalogue no longer knows it cannot be told which fields need the consent that has ended.
    dropped.push({ eventId: frame.eventIds[index] ?? '', name, version, purpose, reason: decision.outcome === 'dropped' ? decision.reason : 'not_granted' })
    return false
  }
  return keepRows(frame, keeps, index => {
    const properties = frame.properties[index] ?? ''
    if (definition === undefined || fieldPurposes.length === 0) return properties
    const kept = stripFields(definition, JSON.parse(properties) as Record<string, unknown>, permissionOf, frame.capturedAt[index] ?? NaN)
    return JSON.stringify(kept.properties)
  })
}

/** What is said of a request at both stages. At the second: its rows that were stored, dropped and set aside, which add up to what was accepted. */
function countsOf (catalog: Catalog, { batch, kept, dropped }: Fate, failed: readonly FailedRow[], stored: ReadonlySet<string>): CountedBatch[] {
  const { requestId, receivedAt, counts } = batch
  const about = { requestId, receivedAt, ...countedProduct(catalog, batch) }
  const tally = makeTally()
  const storedRows = new Map<string, number>()
  const add = (purpose: string, rows: number): void => { storedRows.set(purpose, (storedRows.get(purpose) ?? 0) + rows) }
  for (const { purpose, eventIds } of kept) add(purpose, eventIds.length)
  for (const row of dropped) {
    if (stored.has(row.eventId)) add(row.purpose, 1)
    else tally.count(findEvent(catalog, row.name, row.version), { outcome: 'dropped', reason: row.reason })
  }
  const setAside = failed.filter(row => row.requestId === requestId)
  for (const { purpose } of setAside) add(purpose, -1)
  const repeated = counts.filter(({ outcome, reason }) => outcome === 'accepted' && reason === 'duplicate').reduce((sum, { count }) => sum + count, 0)
  const whole = { event: '', version: 0 }
  const atWrite: DecisionCount[] = [
    ...[...storedRows].map(([purpose, count]): DecisionCount => ({ ...whole, purpose, outcome: 'stored', reason: '', count })),
    { ...whole, purpose: '', outcome: 'stored', reason: 'duplicate', count: repeated },
    ...tally.counts(),
    ...[...countBy(setAside, row => `${row.purpose} ${row.reason}`)].map(([key, count]): DecisionCount => {
      const [purpose = '', reason = ''] = key.split(' ')
      return { ...whole, purpose, outcome: 'failed', reason, count }
    })
  ]
  return [{ ...about, stage: 'intake', counts }, { ...about, stage: 'write', counts: atWrite.filter(({ count }) => count > 0) }]
}

/** A product that the catalogue does not know is the client's text, and counted under an empty name. */
export function countedProduct (catalog: Pick<Catalog, 'products'>, { product, release }: Pick<QueuedBatch, 'product' | 'release'>): Pick<CountedBatch, 'product' | 'release'> {
  return catalog.products.has(product) ? { product, release } : { product: '', release: 0 }
}

function countBy<Item, Key> (items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, number> {
  const counts = new Map<Key, number>()
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1)
  return counts
}

interface Part { batch: QueuedBatch, rows: BatchRows, frame: Frame }

/** Inserts all rows at once, but those that are stored already. Those that the table refuses for good are given back. */
async function insertRows (table: EventTable, fates: readonly Fate[], alreadyStored: ReadonlySet<string>): Promise<FailedRow[]> {
  const parts = fates.flatMap(({ batch, rows, kept }) => rows === undefined ? [] : kept.map((frame): Part => ({ batch, rows, frame: without(frame, alreadyStored) })))
  const insertFrames = async (some: readonly Part[]): Promise<void> => {
    // Not the lines one by one: while an insert runs, what is held for it is copied by each collection of garbage.
    const text = some.map(({ batch, rows, frame }) => frameLineOf(batch, rows, frame)).join('')
    await table.insertFrames(text, some.flatMap(({ frame }) => frame.eventIds))
  }
  return await insertOrHalve(table, parts.filter(({ frame }) => frame.eventIds.length > 0), insertFrames, async part => await insertByRows(table, part))
}

async function insertByRows (table: EventTable, { batch, rows, frame }: Part): Promise<FailedRow[]> {
  const lines = rowLinesOf(batch, rows, frame).map((row, index) => ({
    requestId: batch.requestId, purpose: frame.purpose, eventId: frame.eventIds[index] ?? '', name: frame.name, accountRef: rows.accountRef, deviceRef: rows.deviceRef, row
  }))
  return await insertOrHalve(table, lines, async some => { await table.insertRows(some.map(({ row }) => row).join('')) }, async (line, reason) => [{ ...line, reason }])
}

/** When the table finds fault with the data, halves it until what is faulty stands alone; `setAside` says what becomes of that. */
async function insertOrHalve<Item> (
  table: EventTable, items: readonly Item[], insert: (some: readonly Item[]) => Promise<void>, setAside: (item: Item, reason: string) => Promise<FailedRow[]>
): Promise<FailedRow[]> {
  const [first] = items
  if (first === undefined) return []
  try {
    await insert(items)
    return []
  } catch (error) {
    const reason = table.dataFaultOf(error)
    if (reason === undefined) throw error
    if (items.length === 1) return await setAside(first, reason)
    const middle = Math.ceil(items.length / 2)
    return [
      ...await insertOrHalve(table, items.slice(0, middle), insert, setAside),
      ...await insertOrHalve(table, items.slice(middle), insert, setAside)
    ]
  }
}
