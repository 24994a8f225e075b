/** What the processes that share a port say to the one that started them, and what it says to them. */
import type { Families } from '../metrics/summed.ts'

export type Rendered = { type: string, text: string }

export type ToCollector =
  /** Others are to be asked from here on. */
  | { say: 'leave' }
  | { say: 'close' }
  | { say: 'tell-metrics', id: number }
  | { say: 'rendered', id: number, rendered: Rendered | undefined }

export type FromCollector =
  | { say: 'started', url: string }
  /** The line in which a start was refused. */
  | { say: 'refused', line: string }
  | { say: 'metrics', id: number, families: Families | undefined }
  /** Asked for the metrics of all. */
  | { say: 'render', id: number }

export interface Questions<Answer> {
  /** `send` asks, with an id that the answer must have. Undefined when none comes in time. */
  ask: (send: (id: number) => void) => Promise<Answer | undefined>
  answered: (id: number, answer: Answer | undefined) => void
  /** Nobody is there any more to answer. */
  giveUp: () => void
}

export function makeQuestions<Answer> (withinMs: number): Questions<Answer> {
  let asked = 0
  const open = new Map<number, (answer: Answer | undefined) => void>()
  const settle = (id: number, answer: Answer | undefined): void => {
    open.get(id)?.(answer)
    open.delete(id)
  }
  return {
    async ask (send) {
      const id = ++asked
      return await new Promise(resolve => {
        const tooLate = setTimeout(() => { settle(id, undefined) }, withinMs)
        open.set(id, answer => { clearTimeout(tooLate); resolve(answer) })
        send(id)
      })
    },
    answered: settle,
    giveUp () {
      for (const id of [...open.keys()]) settle(id, undefined)
    }
  }
}
