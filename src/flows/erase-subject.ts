/** Works off erasures, many together: hidden at once, then the queue passes, then the rows leave the files, then each is certified. */
import { describeSubject, keptAfter, type Erasure, type ErasureCertificate } from '../domain/erasure.ts'
import type { ErasureQueue, ErasureStore, ErasureTable, FoundBatch, OpenErasure, RowCounts } from './erasure-ports.ts'
import type { DeviceRegister } from './ports.ts'
import type { SettleDead } from './settle-dead.ts'

export interface EraseSubjectsDeps {
  erasures: ErasureStore
  queue: ErasureQueue
  table: ErasureTable
  devices: Pick<DeviceRegister, 'forget'>
  settleDead: SettleDead
  sign: (document: object) => Promise<string>
  /** Told when a second look found rows. */
  onLateRows: () => void
  /** Told of a failure that concerns one erasure alone. */
  onFailed: (error: unknown) => void
  now: () => number
}

/** Each takes what is due as far as it will go now. A kill anywhere is made good by the next turn, since each step can be repeated. */
export interface EraseSubjects {
  /** Puts the new ones on record and hides their rows. */
  hide: () => Promise<void>
  /** Brings those whose rows are hidden to their end, and says how many reached it. */
  finish: () => Promise<number>
  /** Looks again for what came late, and says how often it has looked. */
  lookAgain: () => Promise<number>
}

/**
 * A writer that was held up for long, by a stopped process or a slow disk, may insert what it had been permitted before
 * the tombstone. So a second look follows, after the longest that such an insert can take.
 */
const lookAgainAfterMs = 15 * 60_000
/** How long reading a batch that was given up may take, until whoever began is taken for dead. */
const tryMs = 60_000

interface Counted { open: OpenErasure, rows: RowCounts }

export function makeEraseSubjects (deps: EraseSubjectsDeps): EraseSubjects {
  const { erasures, queue, table } = deps

  return {
    async hide () {
      const due = (await erasures.due('new', deps.now())).filter(({ hidden }) => !hidden)
      if (due.length === 0) return
      const fresh = due.filter(({ before }) => before === undefined)
      await table.say(fresh.map(({ erasure }) => ({ erasure })))
      const counted = await count(fresh, 'all')
      await Promise.all(counted.map(async ({ open, rows }) => { await erasures.note(open.erasure.id, 'before', rows) }))
      const known = due.flatMap((open): Counted[] => open.before === undefined ? [] : [{ open, rows: open.before }])
      await hideRows([...counted, ...known])
      await Promise.all(due.map(async ({ erasure }) => { await erasures.note(erasure.id, 'hidden', true) }))
    },

    async finish () {
      const due = (await erasures.due('new', deps.now())).filter(({ hidden }) => hidden)
      if (due.length === 0) return 0
      const passed = await thoseThatPassed(due.filter(({ late }) => late === undefined))
      const gone = await thoseGone([...due.filter(({ late }) => late !== undefined), ...passed], async found => {
        await Promise.all(found.map(async ({ open, rows }) => { await erasures.note(open.erasure.id, 'late', rows) }))
      })
      const certified = await eachAlone(gone, async open => ({ open, certificate: await erasures.certify(open.erasure.id, await certify(open.erasure)) }))
      await table.say(certified.map(({ open: { erasure }, certificate }) => ({ erasure, certificate })))
      await Promise.all(certified.map(async ({ open }) => { await erasures.close(open, deps.now() + lookAgainAfterMs) }))
      return certified.length
    },

    async lookAgain () {
      const due = await erasures.due('again', deps.now())
      if (due.length === 0) return 0
      const counted = await count(due, 'all')
      await Promise.all(counted.map(async ({ open: { erasure, again }, rows }) => {
        await erasures.note(erasure.id, 'again', { at: deps.now(), rows })
        await forgetDevices(erasure)
        if (again === undefined && sum(rows) > 0) deps.onLateRows()
      }))
      const gone = await thoseGone(due, async () => {})
      await Promise.all(gone.map(async open => { await erasures.close(open, undefined) }))
      return gone.length
    }
  }

  /** Those of which no batch from before the tombstone is left in the queue; what was given up is settled on the way. */
  async function thoseThatPassed (opens: readonly OpenErasure[]): Promise<OpenErasure[]> {
    const looked = await eachAlone(opens, async open => {
      const known = await erasures.batches(open.erasure.id)
      const remaining = await queue.remaining(known)
      await noteRemaining(open, known.length, remaining.length)
      for (const batch of remaining) await settle(open.erasure, batch)
      return { open, known, remaining }
    })
    const drained = looked.filter(({ remaining }) => remaining.length === 0)
    const found = await queue.search(drained.map(({ open }) => open.erasure))
    const passed = await eachAlone(drained.map((one, index) => ({ ...one, found: found[index] ?? [] })), async ({ open, known, found }) => {
      const placeOf = new Map(known.map(({ requestId, jobId }) => [requestId, jobId]))
      const more = found.filter(({ requestId, jobId }) => placeOf.get(requestId) !== jobId)
      if (more.length === 0) return open
      await erasures.addBatches(open.erasure.id, more)
      const moved = more.filter(({ requestId }) => placeOf.has(requestId))
      await noteRemaining(open, known.length + more.length - moved.length, more.length)
      return undefined
    })
    return passed.filter(open => open !== undefined)
  }

  async function noteRemaining ({ erasure, batches }: OpenErasure, found: number, remaining: number): Promise<void> {
    if (batches.found !== found || batches.remaining !== remaining) await erasures.noteRemaining(erasure.id, { found, remaining })
  }

  async function settle (erasure: Erasure, batch: FoundBatch): Promise<void> {
    const queued = await queue.readDead(batch)
    if (queued === undefined) return
    if (batch.triedAt !== undefined && Math.abs(deps.now() - batch.triedAt) < tryMs) return
    // It may have been given up because it ends the process that reads it: noted first, so that this happens once.
    if (batch.triedAt === undefined) await erasures.addBatches(erasure.id, [{ ...batch, triedAt: deps.now() }])
    let settled: FoundBatch | undefined
    try {
      settled = await deps.settleDead(erasure, batch, queued)
    } catch (error) {
      await erasures.addBatches(erasure.id, [batch])
      throw error
    }
    if (settled === undefined) await queue.remove(batch)
    else await erasures.addBatches(erasure.id, [settled])
  }

  /** Those of which no row is left in the files. `onLate`: told first of what came since the rows were hidden. */
  async function thoseGone (opens: readonly OpenErasure[], onLate: (found: readonly Counted[]) => Promise<void>): Promise<OpenErasure[]> {
    const all = await count(opens, 'all')
    const held = all.filter(({ rows }) => sum(rows) > 0)
    const readable = await count(held.map(({ open }) => open), 'readable')
    const gone = all.filter(({ rows }) => sum(rows) === 0)
    await onLate([...gone, ...readable].filter(({ open }) => open.late === undefined))
    await hideRows(readable)
    if (held.length > 0) await table.purge(sumByTable(held))
    return gone.map(({ open }) => open)
  }

  async function hideRows (counted: readonly Counted[]): Promise<void> {
    await table.hide(counted.filter(({ rows }) => sum(rows) > 0).map(({ open: { erasure }, rows }) => ({ erasure, rows })))
  }

  async function count (opens: readonly OpenErasure[], which: 'readable' | 'all'): Promise<Counted[]> {
    const counts = await table.count(opens.map(({ erasure }) => erasure), which)
    return opens.map((open, index) => ({ open, rows: counts[index] ?? {} }))
  }

  async function certify (erasure: Erasure): Promise<ErasureCertificate> {
    const { before, late } = await erasures.find(erasure.id) ?? {}
    if (before === undefined || late === undefined) throw new Error('an erasure ends before it was counted')
    const batches = await erasures.batches(erasure.id)
    const erased = batches.filter(({ settled }) => settled !== 'left')
    const removed = async (some: readonly FoundBatch[]): Promise<ErasureCertificate['queue']> =>
      ({ batches: some.length, events_removed: await table.droppedOf(some.map(({ requestId, partId }) => partId ?? requestId), erasure.purpose) })
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
      queue: await removed(erased.filter(({ dead }) => !dead)),
      dead_letters: await removed(erased.filter(({ dead }) => dead)),
      devices_forgotten: await forgetDevices(erasure),
      kept: keptAfter(erasure, batches.length - erased.length)
    }
    return { ...unsigned, signature: await deps.sign(unsigned) }
  }

  async function forgetDevices ({ accountId, purpose, until }: Erasure): Promise<number> {
    return accountId === null || purpose !== null ? 0 : await deps.devices.forget(accountId, until)
  }

  /** One that fails holds up no other. */
  async function eachAlone<Item, Result> (items: readonly Item[], step: (item: Item) => Promise<Result>): Promise<Result[]> {
    const results = await Promise.all(items.map(async item => {
      try {
        return [await step(item)]
      } catch (error) {
        deps.onFailed(error)
        return []
      }
    }))
    return results.flat()
  }
}

function sum (rows: RowCounts): number {
  return Object.values(rows).reduce((total, count) => total + count, 0)
}

function sumByTable (counted: readonly Counted[]): RowCounts {
  const sums: Record<string, number> = {}
  for (const { rows } of counted) for (const [name, count] of Object.entries(rows)) sums[name] = (sums[name] ?? 0) + count
  return sums
}
