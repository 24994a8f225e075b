/** Where batches are judged: what is large in threads of their own, so that whoever serves has its core for HTTP and Redis. */
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { makePseudonym } from '../crypto/keyed-hash.ts'
import type { Catalog } from '../domain/catalog.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { JudgedBatch, OtherOwner } from '../flows/accept-events.ts'
import { makeJudgeBatch } from '../flows/judge-batch.ts'
import { makeJudgePosted, type JudgePosted, type PostedBytes } from '../http/judge-posted.ts'
import { Problem } from '../http/problem.ts'
import type { BatchLimits } from '../http/read-batch.ts'
import type { JudgeSomewhere } from '../http/take-batch.ts'
import { makeFrameCodec } from '../redis/frame-codec.ts'

/** What a thread is given when it starts. */
export interface JudgingSettings {
  schemasDir: string
  pseudonymKey: Uint8Array
  eventAgeMaxMs: number
  limits: BatchLimits
}

/** What a thread is asked. Its bytes are all of their buffer. */
export interface Asked { id: number, posted: Omit<PostedBytes, 'bytes'> & { bytes: Uint8Array<ArrayBuffer> } }

export type Told = { id: number } & (
  { judged: JudgedBatch } | { judged: OtherOwner, bytes: Uint8Array<ArrayBuffer> } | { problem: Pick<Problem, 'slug' | 'extras'> } | { error: unknown }
)

/** What is smaller is judged faster than it is told to another thread. */
const worthTelling = 4096

export function makeJudge (catalog: Catalog, { pseudonymKey, eventAgeMaxMs, limits }: JudgingSettings): JudgePosted {
  const judgeBatch = makeJudgeBatch({ catalog, frameCodec: makeFrameCodec(), pseudonym: makePseudonym(Buffer.from(pseudonymKey)), eventAgeMaxMs })
  return makeJudgePosted(judgeBatch, catalog, limits)
}

export interface Judging {
  judge: JudgeSomewhere
  close: () => Promise<void>
}

/**
 * Resolves when `threads` of them are up. One that ends, as it does when it runs out of memory, is not started anew, since
 * it would read the catalogue as it is by then: `onEnd` is told, and what is left does its work.
 * @throws what a thread throws that cannot start
 */
export async function startJudging (threads: number, catalog: Catalog, settings: JudgingSettings, onEnd: (error: unknown) => void): Promise<Judging> {
  const judgeHere = makeJudge(catalog, settings)
  const living = new Set<JudgingThread>()
  const close = async (): Promise<void> => {
    const ending = [...living]
    living.clear()
    await Promise.all(ending.map(async thread => { await thread.close() }))
  }
  const starting = await Promise.allSettled(Array.from({ length: threads }, async () => {
    const thread = await startThread(settings, error => {
      living.delete(thread)
      onEnd(error)
    })
    living.add(thread)
  }))
  const refused = starting.find(start => start.status === 'rejected')
  if (refused !== undefined) {
    await close()
    throw refused.reason
  }
  let turn: Promise<unknown> = Promise.resolve()
  return {
    async judge (posted) {
      const isLarge = posted.bytes.length >= worthTelling
      const [first, ...others] = isLarge ? living : []
      if (first !== undefined) return await others.reduce((least, other) => other.inHand() < least.inHand() ? other : least, first).judge(posted)
      // One in each round of the event loop: whoever asks for anything else waits no longer.
      if (isLarge) await (turn = turn.then(async () => await setImmediate()))
      const judged = judgeHere(posted)
      return 'otherOwner' in judged ? { ...judged, bytes: posted.bytes } : judged
    },
    close
  }
}

interface JudgingThread extends Judging {
  /** How many batches it has been given and not given back. */
  inHand: () => number
}

/** `onEnd`: told when it ends without being told to. */
async function startThread (settings: JudgingSettings, onEnd: (error: unknown) => void): Promise<JudgingThread> {
  const worker = new Worker(new URL('judging-thread.ts', import.meta.url), { name: 'judging', workerData: settings })
  await once(worker, 'message') // That it is ready. What it cannot start for is thrown.
  worker.unref()
  // In places that are used again. A Map is made anew after so many entries, and V8 then keeps what the old one held, batch
  // and all, until the next whole collection of garbage.
  const waiting: Array<{ judged: (judged: Awaited<ReturnType<JudgeSomewhere>>) => void, failed: (error: unknown) => void } | undefined> = []
  const free: number[] = []
  let isTold = false
  let reason: unknown
  worker.on('error', error => { reason = error })
  worker.once('exit', code => {
    if (!isTold) onEnd(reason ?? new Error(`a thread ended with ${String(code)}`))
    for (const asker of waiting.splice(0)) asker?.failed(new Unavailable('judging'))
  })
  worker.on('message', (told: Told) => {
    const asker = waiting[told.id]
    waiting[told.id] = undefined
    free.push(told.id)
    if ('problem' in told) asker?.failed(new Problem(told.problem.slug, told.problem.extras))
    else if ('error' in told) asker?.failed(told.error)
    else asker?.judged('bytes' in told ? { ...told.judged, bytes: Buffer.from(told.bytes.buffer) } : told.judged)
  })
  return {
    inHand: () => waiting.length - free.length,
    async judge ({ bytes, poster, grounds }) {
      return await new Promise((judged, failed) => {
        const id = free.at(-1) ?? waiting.length
        const own = new Uint8Array(bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer as ArrayBuffer : Uint8Array.from(bytes).buffer)
        worker.postMessage({ id, posted: { bytes: own, poster, grounds } } satisfies Asked, [own.buffer])
        free.pop()
        waiting[id] = { judged, failed }
      })
    },
    async close () {
      isTold = true
      await worker.terminate()
    }
  }
}
