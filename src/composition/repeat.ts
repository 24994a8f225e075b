/** Does something again and again until it is told to stop. */
import { setTimeout as sleep } from 'node:timers/promises'

export interface Repeating {
  /** Resolves when the turn under way has ended; no other begins. */
  stop: () => Promise<void>
}

/** `turn` says how long to wait until the next one, ms; when it throws, that is `afterErrorMs`. */
export function repeat (turn: () => Promise<number>, onError: (error: unknown) => void, afterErrorMs: number): Repeating {
  const stopping = new AbortController()
  const wait = async (ms: number): Promise<void> => {
    await sleep(ms, undefined, { signal: stopping.signal }).catch(() => {}) // Told to stop, now or before.
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let waitMs = afterErrorMs
      try {
        waitMs = await turn()
      } catch (error) {
        onError(error)
      }
      await wait(waitMs)
    }
  }
  const running = run()
  return {
    async stop () {
      stopping.abort()
      await running
    }
  }
}
