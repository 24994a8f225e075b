/** Starts a process again whenever it has died, as whoever runs it does. */
import { setTimeout as sleep } from 'node:timers/promises'

export interface Supervisor {
  deaths: () => number
  /** Resolves when the process is watched no more. */
  end: () => Promise<void>
}

export function supervise ({ ended, start }: { ended: () => Promise<void>, start: () => Promise<void> }, onDeath: (deaths: number) => void): Supervisor {
  const state = { deaths: 0, ending: false }
  const startAgain = async (): Promise<void> => {
    await start().catch(async () => { await sleep(200) })
  }
  const supervising = (async () => {
    let end = ended()
    while (!state.ending) {
      if (!await Promise.race([end.then(() => true), sleep(200, false)])) continue
      onDeath(++state.deaths)
      await startAgain()
      end = ended()
    }
  })()
  return {
    deaths: () => state.deaths,
    async end () {
      state.ending = true
      await supervising
    }
  }
}
