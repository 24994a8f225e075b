/** Work that holds the event loop for a moment is done in turns, so that what else there is does not wait for all of it. */

/** Gives the function whose promise is kept when it is one's turn: at once where few have come, and `together` in each round of the event loop. */
export function inTurns (together: number): () => Promise<void> {
  const waiting: Array<() => void> = []
  let free = together
  const nextRound = (): void => {
    free = together
    for (const next of waiting.splice(0, together)) {
      free--
      next()
    }
    if (free < together) setImmediate(nextRound)
  }
  return async () => {
    if (free === together) setImmediate(nextRound)
    if (free > 0) free--
    else await new Promise<void>(resolve => { waiting.push(resolve) })
  }
}
