/** Does something again and again until it is told to stop. */

export interface Repeating {
  /** Resolves when the turn under way has ended; no other begins. */
  stop: () => Promise<void>
}

/** `turn` says how long to wait until the next one, ms; when it throws, that is `afterErrorMs`. */
export function repeat (turn: () => Promise<number>, onError: (error: unknown) => void, afterErrorMs: number): Repeating {
  const stopping = new AbortController()
  const wait = async (ms: number): Promise<void> => {
    if (stopping.signal.aborted) return // It was told to stop during the turn, and hears of that only once.
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms)
      stopping.signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true })
    })
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
