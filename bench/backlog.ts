/** How fast a writer works off what has queued while ClickHouse was away, against what the same process takes in and stores when nothing waits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { withCollector } from './collector.ts'
import { postOnce } from './load.ts'
import { connections, type Options } from './part.ts'
import { storedEvents } from './store.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchTexts } from './traffic.ts'

/** Every event has an id of its own, so they are made as they are sent. */
const batchesAtOnce = 1000

export async function measureBacklog ({ backlog, batches, say }: Options): Promise<Row[]> {
  return await withCollector(0, async ({ url, token, whole }) => {
    const post = async (to: string, bodies: readonly string[]): Promise<void> => { await postOnce({ url: to, token, bodies, connections }) }
    let goal = 0
    /** Events per second, until so many more are stored; of which `start` sends some itself. */
    const store = async (what: string, events: number, start: () => Promise<void>): Promise<number> => {
      goal += events
      const started = performance.now()
      const starting = start()
      let told = started
      for (let left = events; left > 0; left = goal - await storedEvents(whole.url)) {
        await sleep(50)
        if (performance.now() - told < 5000) continue
        told = performance.now()
        say(`${what}: ${String(left)} events left`)
      }
      const rate = events / (performance.now() - started) * 1000
      await starting
      say(`${what}: ${rate.toFixed(0)} events/s`)
      return rate
    }

    whole.resume()
    const bodies = makeBatchTexts(batches)
    await store('warming up', 500 * eventsPerBatch, async () => { await post(whole.url, makeBatchTexts(500)) })
    const fresh = await store('fresh', batches * eventsPerBatch, async () => { await post(whole.url, bodies) })
    whole.pause()
    const waiting = Math.ceil(backlog / eventsPerBatch)
    for (let sent = 0; sent < waiting; sent += batchesAtOnce) {
      await post(url, makeBatchTexts(Math.min(batchesAtOnce, waiting - sent)))
      if (sent % 10_000 === 0) say(`backlog: ${String(sent * eventsPerBatch)} events queued`)
    }
    const drained = await store('drained', waiting * eventsPerBatch, async () => { whole.resume() })
    return [{
      what: `a backlog of ${String(backlog)} events, worked off`,
      value: drained,
      unit: 'events/s',
      against: { what: 'fresh intake, stored end to end', value: fresh },
      target: { ratioAtLeast: 3 },
      spread: 0
    }]
  })
}
