/** Works off an erasure: hidden at once, then the queue passes, then the rows leave the files, then it is certified. */
import { describeSubject, keptAfter, type Erasure, type ErasureCertificate } from '../domain/erasure.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { ErasureQueue, ErasureStore, ErasureTable, FoundBatch, OpenErasure, RowCounts } from './erasure-ports.ts'
import type { DeviceRegister } from './ports.ts'
import type { StoreEvents } from './store-events.ts'

export interface EraseSubjectDeps {
  erasures: ErasureStore
  queue: ErasureQueue
  table: ErasureTable
  devices: Pick<DeviceRegister, 'forget'>
  /** What the writer does with batches. */
  storeEvents: StoreEvents
  sign: (document: object) => Promise<string>
  /** Told when a second look found rows. */
  onLateRows: () => void
  now: () => number
}

/**
 * A writer that was held up for long, by a stopped process or a slow disk, may insert what it had been permitted before
 * the tombstone. So a second look follows, after the longest that such an insert can take.
 */
const lookAgainAfterMs = 15 * 60_000

/** Takes an erasure as far as it will go now. A kill anywhere is made good by the next turn, since each step can be repeated. */
export function makeEraseSubject (deps: EraseSubjectDeps): (open: OpenErasure) => Promise<void> {
  const { erasures, table } = deps

  return async open => {
    const { erasure } = open
    if (open.isAgain) {
      await lookAgain(open)
      return
    }
    let { before } = open
    if (before === undefined) {
      await table.say(erasure, undefined)
      before = await table.count(erasure, 'all')
      await erasures.note(erasure.id, 'before', before)
    }
    if (!open.hidden) {
      if (sum(before) > 0) await table.hide(erasure)
      await erasures.note(erasure.id, 'hidden', true)
    }
    if (open.late === undefined) {
      if (!await hasPassed(erasure)) return
      await erasures.note(erasure.id, 'late', await table.count(erasure, 'readable'))
    }
    if (!await isGone(erasure)) return
    const certificate = await erasures.certify(erasure.id, await certify(erasure))
    await table.say(erasure, certificate)
    await erasures.close(open, deps.now() + lookAgainAfterMs)
  }

  /** Whether no batch from before the tombstone is left in the queue; those given up are stored as far as is still permitted. */
  async function hasPassed (erasure: Erasure): Promise<boolean> {
    const known = await erasures.batches(erasure.id)
    const remaining = await deps.queue.remaining(known)
    await erasures.noteRemaining(erasure.id, { found: known.length, remaining: remaining.length })
    if (remaining.length > 0) {
      for (const { jobId } of remaining) await settleDead(jobId)
      return false
    }
    const ids = new Set(known.map(({ jobId }) => jobId))
    const found = (await deps.queue.search(erasure)).filter(({ jobId }) => !ids.has(jobId))
    if (found.length === 0) return true
    await erasures.addBatches(erasure.id, found)
    await erasures.noteRemaining(erasure.id, { found: known.length + found.length, remaining: found.length })
    return false
  }

  async function settleDead (jobId: string): Promise<void> {
    const batch = await deps.queue.readDead(jobId)
    if (batch === undefined) return
    try {
      await deps.storeEvents([batch], true)
    } catch (error) {
      if (error instanceof Unavailable) throw error
      // Nobody can read it, not even to drop its rows one by one: it goes as a whole.
    }
    await deps.queue.remove(jobId)
  }

  async function isGone (erasure: Erasure): Promise<boolean> {
    if (sum(await table.count(erasure, 'readable')) > 0) await table.hide(erasure)
    if (sum(await table.count(erasure, 'all')) === 0) return true
    await table.purge()
    return sum(await table.count(erasure, 'all')) === 0
  }

  async function certify (erasure: Erasure): Promise<ErasureCertificate> {
    const { before, late } = await erasures.find(erasure.id) ?? {}
    if (before === undefined || late === undefined) throw new Error('an erasure ends before it was counted')
    const batches = await erasures.batches(erasure.id)
    const removed = async (some: readonly FoundBatch[]): Promise<ErasureCertificate['queue']> =>
      ({ batches: some.length, events_removed: await table.droppedOf(some.map(({ requestId }) => requestId), erasure.purpose) })
    const until = new Date(erasure.until).toISOString()
    const unsigned: ErasureCertificate = {
      id: erasure.id,
      subject: describeSubject(erasure),
      ...(erasure.purpose === null ? {} : { purpose: erasure.purpose }),
      reason: erasure.reason,
      requested_by: erasure.requestedBy,
      requested_at: until,
      erased_until: until,
      completed_at: new Date(deps.now()).toISOString(),
      tables: Object.entries(before).map(([name, rows]) => ({ table: name, rows_before: rows + (late[name] ?? 0), rows_after: 0 })),
      queue: await removed(batches.filter(({ dead }) => !dead)),
      dead_letters: await removed(batches.filter(({ dead }) => dead)),
      devices_forgotten: await forgetDevices(erasure),
      kept: keptAfter(erasure)
    }
    return { ...unsigned, signature: await deps.sign(unsigned) }
  }

  async function forgetDevices ({ accountId, purpose, until }: Erasure): Promise<number> {
    return accountId === null || purpose !== null ? 0 : await deps.devices.forget(accountId, until)
  }

  async function lookAgain (open: OpenErasure): Promise<void> {
    const { erasure } = open
    const rows = await table.count(erasure, 'all')
    await erasures.note(erasure.id, 'again', { at: deps.now(), rows })
    await forgetDevices(erasure)
    if (sum(rows) > 0) {
      if (open.again === undefined) deps.onLateRows()
      if (!await isGone(erasure)) return
    }
    await erasures.close(open, undefined)
  }
}

function sum (rows: RowCounts): number {
  return Object.values(rows).reduce((total, count) => total + count, 0)
}
