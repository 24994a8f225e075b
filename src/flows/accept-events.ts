/** A batch arrives: consent is asked for, the batch is judged by it, and what is permitted is queued. */
import type { Standing } from '../domain/consent.ts'
import type { DecisionCount } from '../domain/event.ts'
import type { Grounds } from './judge-batch.ts'
import type { BatchOwner, DeviceRegister, EventQueue, QueuedBatch } from './ports.ts'

export interface AcceptEventsDeps {
  /** An owner's standing at a moment after it is asked for; throws when it cannot be read, never guesses. */
  readStanding: (owner: BatchOwner) => Promise<Standing>
  devices: Pick<DeviceRegister, 'see'>
  queue: EventQueue
  now: () => number
  newId: () => string
}

/** A batch as it goes to the queue, and what its client is to be told once it is there. */
export interface JudgedBatch { queued: QueuedBatch, answer: string }

/** Once it was read a batch turned out to be somebody else's than it seemed; it is to be judged by what that one permits. */
export interface OtherOwner { otherOwner: BatchOwner }

/** The answer, and what became of the events. */
export interface TakenBatch { answer: string, counts: readonly DecisionCount[] }

/**
 * `likely`: whose batch it seems to be before it is read. Resolves once what was accepted is durable in the queue. Throws
 * `Unavailable`, or what `judge` throws, and then nothing was acknowledged.
 */
export type AcceptEvents = (likely: BatchOwner, judge: Judge) => Promise<TakenBatch>

type Judge = (grounds: Grounds) => Promise<JudgedBatch | OtherOwner>

/** While a batch waits for Redis little is left of it: `judge` is through by then, and no function that still waits holds what it read. */
export function makeAcceptEvents ({ readStanding, devices, queue, now, newId }: AcceptEventsDeps): AcceptEvents {
  const keep = async ({ queued, answer }: JudgedBatch): Promise<TakenBatch> => {
    const { owner: { accountId, deviceId }, product, release, receivedAt, counts } = queued
    if (accountId !== undefined && deviceId !== undefined) await devices.see(accountId, deviceId, product, release, receivedAt)
    await queue.add(queued)
    return { answer, counts }
  }
  const judgeWhole = async (likely: BatchOwner, judge: Judge): Promise<JudgedBatch> => {
    const [receivedAt, requestId] = [now(), newId()]
    const judgeAs = async (owner: BatchOwner): Promise<JudgedBatch | OtherOwner> =>
      await judge({ owner, standing: await readStanding(owner), receivedAt, requestId })
    const first = await judgeAs(likely)
    const judged = 'otherOwner' in first ? await judgeAs(first.otherOwner) : first
    if ('otherOwner' in judged) throw new Error('a batch has two owners')
    return judged
  }
  return (likely, judge) => judgeWhole(likely, judge).then(keep)
}
