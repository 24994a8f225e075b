/** Batches leave the queue: consent is asked again, what still stands is inserted, what does not is counted and gone. */
import { findEvent, type Catalog } from '../domain/catalog.ts'
import { decide, type DropReason } from '../domain/consent.ts'
import { stripFields, type PermissionOf } from '../domain/judgement.ts'
import { makeTally, type Tally } from '../domain/tally.ts'
import { makePermissions } from './accept-events.ts'
import { parseRow, serialiseRow } from './frames.ts'
import type { ConsentReader, CountedBatch, EventTable, FailedRow, Frame, FrameCodec, QueuedBatch } from './ports.ts'

export interface StoreEventsDeps {
  catalog: Catalog
  consents: ConsentReader
  table: EventTable
  frameCodec: FrameCodec
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
 * given again, since the same rows again are the same rows.
 */
export type StoreEvents = (batches: readonly QueuedBatch[]) => Promise<StoredBatches>

export function makeStoreEvents (deps: StoreEventsDeps): StoreEvents {
  return async batches => {
    const standings = await deps.consents.readStandings(batches.map(batch => batch.owner))
    const dropped = new Map<DropReason, number>()
    const counted: CountedBatch[] = []
    const kept: Lines[] = []

    batches.forEach((batch, index) => {
      const standing = standings[index]
      if (standing === undefined) throw new Error('a standing is missing')
      const permissionOf = makePermissions(deps.catalog, standing, { name: batch.product, release: batch.release })
      const tally = makeTally(deps.catalog)
      const drop = (row: { name: string, version: number }, reason: DropReason): void => {
        tally.count(row, { outcome: 'dropped', reason })
        dropped.set(reason, (dropped.get(reason) ?? 0) + 1)
      }
      const lines = batch.body === '' ? '' : deps.frameCodec.unpack(batch.body)
      let from = 0
      for (const frame of batch.frames) {
        const permitted = stillPermitted(deps, frame, lines.slice(from, from += frame.length), permissionOf, drop)
        if (permitted.rows > 0) kept.push({ requestId: batch.requestId, ...permitted })
      }
      counted.push(...countsOf(deps.catalog, batch, tally))
    })

    const [failed] = await Promise.all([insertOrHalve(deps.table, kept), deps.table.insertCounts(counted)])
    if (failed.length > 0) await deps.table.insertFailed(failed)
    const rows = kept.reduce((sum, lines) => sum + lines.rows, 0)
    return { stored: rows - failed.length, dropped, failed: failed.length }
  }
}

/** Rows of one batch, one line each, each ended by a line feed. */
interface Lines { requestId: string, rows: number, text: string }

/** The lines of a frame that consent still covers. A frame that is covered whole is not parsed. */
function stillPermitted (
  deps: StoreEventsDeps, frame: Frame, text: string, permissionOf: PermissionOf, drop: (row: { name: string, version: number }, reason: DropReason) => void
): Pick<Lines, 'rows' | 'text'> {
  const covers = (purpose: string): boolean => decide(permissionOf(purpose), frame.firstCapturedAt).outcome === 'accepted'
  if ([frame.purpose, ...frame.fieldPurposes].every(covers)) return { rows: frame.rows, text }
  const lines = splitLines(text).flatMap(line => {
    const row = parseRow(line)
    const decision = decide(permissionOf(row.purpose), row.capturedAt)
    if (decision.outcome === 'dropped') {
      drop(row, decision.reason)
      return []
    }
    const definition = findEvent(deps.catalog, row.name, row.version)
    if (definition === undefined) {
      // Which of its fields need the consent that has ended cannot be told any more.
      drop(row, 'not_granted')
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

function countsOf (catalog: Catalog, batch: QueuedBatch, tally: Tally): CountedBatch[] {
  const { requestId, receivedAt } = batch
  // A product that the catalogue does not know is the client's text, and counted under an empty name.
  const known = catalog.products.has(batch.product)
  const about = { requestId, receivedAt, product: known ? batch.product : '', release: known ? batch.release : 0 }
  const atWrite = tally.counts()
  return [
    { ...about, stage: 'intake', counts: batch.counts },
    ...(atWrite.length > 0 ? [{ ...about, stage: 'write' as const, counts: atWrite }] : [])
  ]
}

/** Inserts all rows at once; when the table finds fault with the data, halves it until the faulty rows stand alone. */
async function insertOrHalve (table: EventTable, rows: readonly Lines[]): Promise<FailedRow[]> {
  if (rows.length === 0) return []
  try {
    await table.insert(rows.map(({ text }) => text).join(''))
    return []
  } catch (error) {
    const fault = table.dataFaultOf(error)
    if (fault === undefined) throw error
    const single = rows.flatMap(({ requestId, text }) => splitLines(text).map(line => ({ requestId, rows: 1, text: `${line}\n` })))
    const [only] = single
    if (single.length === 1 && only !== undefined) return [failedRow(only, fault)]
    const middle = Math.ceil(single.length / 2)
    return [
      ...await insertOrHalve(table, single.slice(0, middle)),
      ...await insertOrHalve(table, single.slice(middle))
    ]
  }
}

function failedRow ({ requestId, text }: Lines, reason: string): FailedRow {
  return { requestId, ...nameRow(text), reason, row: text }
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
