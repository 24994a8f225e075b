/** How fast one collector accepts, against a bare server that does nothing with what it is sent. */
import { setTimeout as sleep } from 'node:timers/promises'
import { withCollector } from './collector.ts'
import { median, percentile, spreadOf } from './figures.ts'
import { postForSeconds } from './load.ts'
import { connections, type Options } from './part.ts'
import { runServer } from './processes.ts'
import { postSteadily } from './steady-load.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchText, makeBatchTexts } from './traffic.ts'

interface Side { url: string, token: string }

export async function measureAccept ({ runs, seconds, say }: Options): Promise<Row[]> {
  return await withCollector(0, async collector => {
    const bare = await runServer('bench/bare-server.ts')
    const bareToken = await (await fetch(`${bare.url}/token`)).text()
    const ours: Side = collector
    const theirs: Side = { url: bare.url, token: bareToken }
    const batches = makeBatchTexts(40)
    const single = Array.from({ length: 400 }, () => makeBatchText(1))
    const post = async ({ url, token }: Side, bodies: readonly string[]): Promise<number> => {
      const { requestsPerSecond, refused } = await postForSeconds({ url, token, bodies, connections, seconds })
      if (refused > 0) throw new Error(`${String(refused)} requests were refused`)
      return requestsPerSecond
    }
    /** Both sides in turns; what is measured first only warms up. */
    const alternate = async (what: string, measure: (side: Side) => Promise<number>, against = theirs): Promise<[number[], number[]]> => {
      const [oursSeen, theirsSeen]: [number[], number[]] = [[], []]
      await measure(against)
      await measure(ours)
      for (let run = 1; run <= runs; run++) {
        theirsSeen.push(await measure(against))
        oursSeen.push(await measure(ours))
        say(`${what} ${String(run)}/${String(runs)}: ${oursSeen.at(-1)!.toFixed(1)}, bare ${theirsSeen.at(-1)!.toFixed(1)}`)
      }
      return [oursSeen, theirsSeen]
    }

    const rates = await alternate('batches/s', async side => await post(side, batches))
    const singles = await alternate('single events/s', async side => await post(side, single), { url: `${bare.url}/jwt`, token: bareToken })
    const cached = await alternate('single events/s, tokens remembered', async side => await post(side, single), { url: `${bare.url}/cached-jwt`, token: bareToken })
    const perSecond = Math.round(median(rates[0]) / 2)
    const p99s = await alternate(`p99 in ms at ${String(perSecond)} batches/s`, async ({ url, token }) =>
      percentile(await postSteadily({ url, token, bodies: batches, perSecond }, sleep(seconds * 1000)), 0.99))
    await bare.stop()
    const [accepted, bareAccepted] = rates.map(values => values.map(rate => rate * eventsPerBatch)) as [number[], number[]]
    return [
      {
        what: 'accepted events/s, fsynced, one collector',
        value: median(accepted),
        unit: 'events/s',
        against: { what: 'bare Fastify, same body', value: median(bareAccepted) },
        target: { ratioAtLeast: 0.4 },
        spread: spreadOf(accepted, bareAccepted)
      },
      {
        what: 'batches of one event, one collector',
        value: median(singles[0]),
        unit: 'requests/s',
        against: { what: 'bare Fastify with @fastify/jwt', value: median(singles[1]) },
        target: { ratioAtLeast: 0.45 },
        spread: spreadOf(...singles)
      },
      {
        what: 'the same',
        value: median(cached[0]),
        unit: 'requests/s',
        against: { what: 'the same, remembering verified tokens', value: median(cached[1]) },
        spread: spreadOf(...cached)
      },
      {
        what: 'p99 of the 202 at half of that rate',
        value: median(p99s[0]),
        unit: 'ms',
        against: { what: 'bare Fastify at the same rate', value: median(p99s[1]) },
        target: { ratioAtMost: 3 },
        spread: spreadOf(...p99s)
      }
    ]
  })
}
