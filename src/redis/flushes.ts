/** Gathers the batches of many jobs into one insert, and tells each job how it ended. */
import { Unavailable } from '../domain/unavailable.ts'
import type { QueuedBatch } from '../flows/ports.ts'
import type { StoredBatches } from '../flows/store-events.ts'

export interface FlushOptions {
  /** Stores batches, or throws `Unavailable` to be asked again. `again`: whether that may have been tried before. */
  store: (batches: readonly QueuedBatch[], again: boolean) => Promise<StoredBatches>
  onStored: (stored: StoredBatches, batches: number, durationMs: number) => void
  onTrouble: (what: 'store-unavailable' | 'batch-failed', error: Error) => void
  /** An insert holds no more rows, and characters of them as they are queued, unless a single job does. */
  flushRowsMax: number
  flushSizeMax: number
  /** From how many jobs on nothing more is waited for. */
  flushJobsMax: number
  /** How long what has arrived waits for more; `busyMs`: if `busyRows` have come by then. Large inserts cost ClickHouse less. */
  flushWait: { quietMs: number, busyRows: number, busyMs: number }
}

/** The batches of one job. `again`: whether they may have been stored before. */
export interface Waiting { batches: readonly QueuedBatch[], again: boolean }

export interface Flushes {
  /** Resolves once they are stored, with others. */
  together: (waiting: Waiting) => Promise<void>
  /** Does something when its turn has come; meanwhile nothing else is stored. */
  alone: (work: (store: (waiting: Waiting) => Promise<void>) => Promise<void>) => Promise<void>
  /** Holds back every insert until `resume`. */
  pause: () => void
  resume: () => void
  /** Gathers no longer, and does not wait for a store that is away. */
  finish: () => void
}

interface Given extends Waiting { rows: number, size: number, done: () => void, failed: (error: Error) => void }

const retryFromMs = 200
const retryToMs = 5000

export function makeFlushes (options: FlushOptions): Flushes {
  let finishing = false
  let held = false
  let storing = false
  /** Whether what has been gathered has waited long enough. */
  let due = false
  const gathered: Given[] = []
  let gatheredRows = 0
  let gatheredSize = 0
  const lone: Array<() => Promise<void>> = []
  let timer: NodeJS.Timeout | undefined

  const next = (): (() => Promise<void>) | undefined => {
    if (held) return undefined
    const first = lone.shift()
    if (first !== undefined) return first
    if (gathered.length === 0 || (!due && !finishing && !isFull())) return undefined
    const taken = takeGathered()
    return async () => { await storeTogether(taken) }
  }

  const isFull = (): boolean => gathered.length >= options.flushJobsMax || gatheredRows >= options.flushRowsMax || gatheredSize >= options.flushSizeMax

  const wait = (): void => {
    const { quietMs, busyRows, busyMs } = options.flushWait
    const flush = (): void => {
      due = true
      void storeWaiting()
    }
    timer ??= setTimeout(() => {
      if (gatheredRows < busyRows) flush()
      else timer = setTimeout(flush, busyMs - quietMs)
    }, quietMs)
  }

  /** The oldest of what has been gathered, as much as one insert may hold. */
  const takeGathered = (): Given[] => {
    let rows = 0
    let size = 0
    const end = gathered.findIndex((given, index) => {
      rows += given.rows
      size += given.size
      return index > 0 && (rows > options.flushRowsMax || size > options.flushSizeMax)
    })
    const taken = gathered.splice(0, end === -1 ? gathered.length : end)
    for (const given of taken) {
      gatheredRows -= given.rows
      gatheredSize -= given.size
    }
    if (gathered.length === 0) {
      clearTimeout(timer)
      timer = undefined
      due = false
    }
    return taken
  }

  /** One insert at a time: what arrives meanwhile is gathered for the next. */
  const storeWaiting = async (): Promise<void> => {
    if (storing) return
    storing = true
    for (let step = next(); step !== undefined; step = next()) await step()
    storing = false
  }

  const storeTogether = async (taken: readonly Given[]): Promise<void> => {
    try {
      await store({ batches: taken.flatMap(given => given.batches), again: taken.some(({ again }) => again) })
      for (const { done } of taken) done()
    } catch (error) {
      for (const { failed } of taken) failed(error as Error)
    }
  }

  const store = async ({ batches, again }: Waiting): Promise<void> => {
    const started = performance.now()
    try {
      const stored = await storeUntilReachable(batches, again)
      options.onStored(stored, batches.length, performance.now() - started)
    } catch (error) {
      const what = error instanceof Unavailable ? 'store-unavailable' : 'batch-failed'
      options.onTrouble(what, error as Error)
      // The queue keeps what a failure says, so it must say nothing of the data.
      throw new Error(what)
    }
  }

  const storeUntilReachable = async (batches: readonly QueuedBatch[], triedBefore: boolean): Promise<StoredBatches> => {
    let again = triedBefore
    for (let waitMs = retryFromMs; ; waitMs = Math.min(waitMs * 2, retryToMs)) {
      try {
        return await options.store(batches, again)
      } catch (error) {
        if (!(error instanceof Unavailable) || finishing) throw error
        again = true
        options.onTrouble('store-unavailable', error)
        await new Promise(resolve => setTimeout(resolve, waitMs))
      }
    }
  }

  const resume = (): void => {
    held = false
    void storeWaiting()
  }

  return {
    together: async waiting => {
      await new Promise<void>((resolve, reject) => {
        const rows = waiting.batches.reduce((sum, batch) => sum + acceptedOf(batch), 0)
        const size = waiting.batches.reduce((sum, batch) => sum + batch.body.length, 0)
        gathered.push({ ...waiting, rows, size, done: resolve, failed: reject })
        gatheredRows += rows
        gatheredSize += size
        wait()
        void storeWaiting()
      })
    },
    alone: async work => {
      await new Promise<void>((resolve, reject) => {
        lone.push(async () => { await work(store).then(resolve, reject) })
        void storeWaiting()
      })
    },
    pause: () => { held = true },
    resume,
    finish () {
      finishing = true
      resume()
    }
  }
}

function acceptedOf ({ counts }: QueuedBatch): number {
  return counts.reduce((sum, { outcome, count }) => outcome === 'accepted' ? sum + count : sum, 0)
}
