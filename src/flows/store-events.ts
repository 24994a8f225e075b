/** Batches leave the queue: consent is asked again, what still stands is inserted, what does not is counted and gone. */
import { findEvent, type Catalog } from '../domain/catalog.ts'
import { decide, type DropReason } from '../domain/consent.ts'
import { stripFields, type PermissionOf } from '../domain/judgement.ts'
import { mayMeetErased } from '../domain/erasure.ts'
import type { DecisionCount } from '../domain/event.ts'
import { makeTally } from '../domain/tally.ts'
import { makePermissions } from './accept-events.ts'
import { parseRow, serialiseRow } from './frames.ts'
import type { ConsentReader, CountedBatch, EventTable, FailedRow, Frame, FrameCodec, QueuedBatch } from './ports.ts'

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

/** What becomes of one batch: the lines to insert, and the rows that consent no longer covers. */
interface Fate { batch: QueuedBatch, mayMeetErased: boolean, kept: Lines[], dropped: DroppedRow[] }
interface DroppedRow { eventId: string, name: string, version: number, purpose: string, reason: DropReason }

export function makeStoreEvents (deps: StoreEventsDeps): StoreEvents {
  return async (batches, again) => {
    const standings = await deps.consents.readStandings(batches.map(batch => batch.owner))
    const fates = batches.map((batch, index): Fate => {
      const standing = standings[index]
      if (standing === undefined) throw new Error('a standing is missing')
      const permissionOf = makePermissions(deps.catalog, standing, { name: batch.product, release: batch.release }, deps.now())
      const fate: Fate = { batch, mayMeetErased: mayMeetErased(standing, deps.catalog), kept: [], dropped: [] }
      const lines = batch.body === '' ? '' : deps.frameCodec.unpack(batch.body)
      let from = 0
      for (const frame of batch.frames) {
        const permitted = stillPermitted(deps, frame, lines.slice(from, from += frame.length), permissionOf, row => { fate.dropped.push(row) })
        if (permitted.rows > 0) fate.kept.push({ requestId: batch.requestId, purpose: frame.purpose, ...permitted })
      }
      return fate
    })
    // By its times a row that comes again may look new, if its client's clock was fast or a new yes was given: its id tells.
    await dropErased(deps.table, fates.filter(fate => fate.mayMeetErased))
    await deps.table.rememberErased(fates.flatMap(({ dropped }) => dropped.filter(({ reason }) => reason === 'erased').map(({ eventId }) => eventId)))

    const failed = await insertOrHalve(deps.table, fates.flatMap(({ kept }) => kept))
    if (failed.length > 0) await deps.table.insertFailed(failed)
    // What an earlier try has stored is stored, though consent has ended since: it was permitted then, and is counted so.
    const stored = again ? await deps.table.findStored(fates.flatMap(({ dropped }) => dropped.map(row => row.eventId))) : new Set<string>()
    await deps.table.insertCounts(fates.flatMap(fate => countsOf(deps.catalog, fate, failed, stored)))
    const dropped = fates.flatMap(fate => fate.dropped).filter(row => !stored.has(row.eventId))
    const rows = fates.flatMap(({ kept }) => kept).reduce((sum, lines) => sum + lines.rows, 0)
    return { stored: rows - failed.length, dropped: countBy(dropped, row => row.reason), failed: failed.length }
  }
}

/**
 * Drops from what is kept the rows that were erased before. What is stored already is not inserted again, and counts as
 * stored: its erasure may be under way, and would not find a copy that looks newer. In this order, since an erasure
 * remembers its rows before it hides them.
 */
async function dropErased (table: EventTable, fates: readonly Fate[]): Promise<void> {
  const ids = fates.flatMap(({ kept }) => kept.flatMap(({ text }) => splitLines(text).map(line => parseRow(line).eventId)))
  const stored = await table.findStored(ids)
  const erased = await table.findErased(ids)
  if (stored.size === 0 && erased.size === 0) return
  for (const fate of fates) {
    fate.kept = fate.kept.flatMap(lines => {
      const rows = splitLines(lines.text).map(line => ({ line, row: parseRow(line) }))
      const remaining = rows.filter(({ row }) => !erased.has(row.eventId))
      for (const { row: { eventId, name, version, purpose } } of rows) {
        if (erased.has(eventId)) fate.dropped.push({ eventId, name, version, purpose, reason: 'erased' })
      }
      const text = remaining.filter(({ row }) => !stored.has(row.eventId)).map(({ line }) => `${line}\n`).join('')
      return remaining.length === 0 ? [] : [{ ...lines, rows: remaining.length, text }]
    })
  }
}

/** Rows of one batch, one line each, each ended by a line feed. */
interface Lines { requestId: string, purpose: string, rows: number, text: string }

/** The lines of a frame that consent still covers. A frame that is covered whole is not parsed. */
function stillPermitted (
  deps: StoreEventsDeps, frame: Frame, text: string, permissionOf: PermissionOf, onDropped: (row: DroppedRow) => void
): Pick<Lines, 'rows' | 'text'> {
  const covers = (purpose: string): boolean => decide(permissionOf(purpose), frame.firstCapturedAt).outcome === 'accepted'
  if ([frame.purpose, ...frame.fieldPurposes].every(covers)) return { rows: frame.rows, text }
  const lines = splitLines(text).flatMap(line => {
    const row = parseRow(line)
    const { eventId, name, version, purpose } = row
    const decision = decide(permissionOf(purpose), row.capturedAt, row.occurredAt)
    const definition = findEvent(deps.catalog, name, version)
    if (decision.outcome === 'dropped' || definition === undefined) {
      // Of an event that the catalogue no longer knows it cannot be told which fields need the consent that has ended.
      onDropped({ eventId, name, version, purpose, reason: decision.outcome === 'dropped' ? decision.reason : 'not_granted' })
      return []
    }
    const { properties } = stripFields(definition, JSON.parse(row.properties) as Record<string, unknown>, permissionOf, row.capturedAt)
    return [serialiseRow({ ...row, properties: JSON.stringify(properties) })]
  })
  return { rows: lines.length, text: lines.map(line => `${line}\n`).join('') }
}

function splitLines (text: string): string[] {
  return text.split('\n').slice(0, -1)
}

/** What is said of a request at both stages. At the second: its rows that were stored, dropped and set aside, which add up to what was accepted. */
function countsOf (catalog: Catalog, { batch, kept, dropped }: Fate, failed: readonly FailedRow[], stored: ReadonlySet<string>): CountedBatch[] {
  const { requestId, receivedAt, counts } = batch
  const about = { requestId, receivedAt, ...countedProduct(catalog, batch) }
  const tally = makeTally()
  const storedRows = new Map<string, number>()
  const add = (purpose: string, rows: number): void => { storedRows.set(purpose, (storedRows.get(purpose) ?? 0) + rows) }
  for (const { purpose, rows } of kept) add(purpose, rows)
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

/** Inserts all rows at once; when the table finds fault with the data, halves it until the faulty rows stand alone. */
async function insertOrHalve (table: EventTable, rows: readonly Lines[]): Promise<FailedRow[]> {
  const lines = rows.map(({ text }) => text).join('')
  if (lines === '') return []
  try {
    await table.insert(lines)
    return []
  } catch (error) {
    const fault = table.dataFaultOf(error)
    if (fault === undefined) throw error
    const single = rows.flatMap(({ text, ...lines }) => splitLines(text).map(line => ({ ...lines, rows: 1, text: `${line}\n` })))
    const [only] = single
    if (single.length === 1 && only !== undefined) return [failedRow(only, fault)]
    const middle = Math.ceil(single.length / 2)
    return [
      ...await insertOrHalve(table, single.slice(0, middle)),
      ...await insertOrHalve(table, single.slice(middle))
    ]
  }
}

function failedRow ({ requestId, purpose, text }: Lines, reason: string): FailedRow {
  return { requestId, purpose, ...nameRow(text), reason, row: text }
}

/** Whose row it is, as far as a faulty row can tell. */
function nameRow (text: string): Pick<FailedRow, 'eventId' | 'name' | 'accountRef' | 'deviceRef'> {
  try {
    const { eventId, name, accountRef, deviceRef } = parseRow(text)
    return { eventId, name, accountRef, deviceRef }
  } catch {
    return { eventId: '', name: '', accountRef: '', deviceRef: '' }
  }
}
