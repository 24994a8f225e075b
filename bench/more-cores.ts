/** What a second process on the port of a collector brings: on a machine whose cores are taken anyway, little. */
import { dirname } from 'node:path'
import { withCollector } from './collector.ts'
import { median, spreadOf } from './figures.ts'
import { postForSeconds } from './load.ts'
import { connections, type Options } from './part.ts'
import { runServer } from './processes.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchTexts } from './traffic.ts'

export async function measureProcesses ({ runs, seconds, say }: Options): Promise<Row[]> {
  return await withCollector(0, async one => {
    const socket = one.redis.options.path ?? ''
    const two = await runServer('src/main.ts', { ROLE: 'collector', COLLECTOR_PROCESSES: '2', REDIS_URL: `unix://${socket}`, DATA_DIR: dirname(dirname(socket)) })
    const bodies = makeBatchTexts(40)
    const accept = async (url: string): Promise<number> => {
      const { requestsPerSecond, refused } = await postForSeconds({ url, token: one.token, bodies, connections, seconds })
      if (refused > 0) throw new Error(`${String(refused)} requests were refused`)
      return requestsPerSecond * eventsPerBatch
    }
    const [ofOne, ofTwo]: [number[], number[]] = [[], []]
    await accept(one.url) // What is measured first only warms up.
    await accept(two.url)
    for (let run = 1; run <= runs; run++) {
      ofOne.push(await accept(one.url))
      ofTwo.push(await accept(two.url))
      say(`accepted events/s ${String(run)}/${String(runs)}: two processes ${ofTwo.at(-1)!.toFixed(0)}, one ${ofOne.at(-1)!.toFixed(0)}`)
    }
    await two.stop()
    return [{
      what: 'accepted events/s with COLLECTOR_PROCESSES=2',
      value: median(ofTwo),
      unit: 'events/s',
      against: { what: 'with 1', value: median(ofOne) },
      spread: spreadOf(ofOne, ofTwo)
    }]
  })
}
