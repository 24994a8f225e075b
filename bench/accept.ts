/** How fast one collector accepts, against a bare server that does nothing with what it is sent. */
import { setTimeout as sleep } from 'node:timers/promises'
import { emptyQueue, withCollector } from './collector.ts'
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
    const bare = await runServer('bench/bare-server.ts', { REDIS_SOCKET: collector.redis.options.path ?? '' })
    const bareToken = await (await fetch(`${bare.url}/token`)).text()
    const ours: Side = collector
    const theirs: Side = { url: bare.url, token: bareToken }
    const durable: Side = { url: `${bare.url}/durable`, token: bareToken }
    const batches = makeBatchTexts(40)
    const single = Array.from({ length: 400 }, () => makeBatchText(1))
    const post = async ({ url, token }: Side, bodies: readonly string[]): Promise<number> => {
      const { requestsPerSecond, refused } = await postForSeconds({ url, token, bodies, connections, seconds })
      if (refused > 0) throw new Error(`${String(refused)} requests were refused`)
      return requestsPerSecond
    }
    /** Both sides in turns; what is measured first only warms up. */
    const alternate = async (what: string, measure: (side: Side) => Promise<number>, ...against: Side[]): Promise<number[][]> => {
      const sides = [...against, ours]
      for (const side of sides) await measure(side)
      const seen: number[][] = sides.map(() => [])
      for (let run = 1; run <= runs; run++) {
        for (const [index, side] of sides.entries()) seen[index]!.push(await measure(side))
        const latest = seen.map(values => values.at(-1)!.toFixed(1))
        say(`${what} ${String(run)}/${String(runs)}: ${latest.pop()!}, bare ${latest.join(' and ')}`)
      }
      return seen
    }

    const [bareRates, durableRates, rates] = await alternate('batches/s', async side => await post(side, batches), theirs, durable) as [number[], number[], number[]]
    const [bareSingles, singles] = await alternate('single events/s', async side => await post(side, single), { url: `${bare.url}/jwt`, token: bareToken }) as [number[], number[]]
    const [bareCached, cached] = await alternate('single events/s, tokens remembered', async side => await post(side, single), { url: `${bare.url}/cached-jwt`, token: bareToken }) as [number[], number[]]
    const perSecond = Math.round(median(rates) / 2)
    const measureP99 = async ({ url, token }: Side): Promise<number> => {
      await emptyQueue(collector.redis)
      return percentile(await postSteadily({ url, token, bodies: batches, perSecond }, sleep(seconds * 1000)), 0.99)
    }
    const [bareP99s, durableP99s, p99s] = await alternate(`p99 in ms at ${String(perSecond)} batches/s`, measureP99, theirs, durable) as [number[], number[], number[]]
    await bare.stop()
    const durably = 'bare Fastify that keeps the body in the same Redis'
    return [
      {
        what: 'accepted events/s, fsynced, one collector',
        value: median(rates) * eventsPerBatch,
        unit: 'events/s',
        against: { what: 'bare Fastify, same body', value: median(bareRates) * eventsPerBatch },
        target: { ratioAtLeast: 0.4 },
        spread: spreadOf(rates, bareRates)
      },
      {
        what: 'the same',
        value: median(rates) * eventsPerBatch,
        unit: 'events/s',
        against: { what: durably, value: median(durableRates) * eventsPerBatch },
        spread: spreadOf(rates, durableRates)
      },
      {
        what: 'batches of one event, one collector',
        value: median(singles),
        unit: 'requests/s',
        against: { what: 'bare Fastify with @fastify/jwt', value: median(bareSingles) },
        target: { ratioAtLeast: 0.45 },
        spread: spreadOf(singles, bareSingles)
      },
      {
        what: 'the same',
        value: median(cached),
        unit: 'requests/s',
        against: { what: 'the same, remembering verified tokens', value: median(bareCached) },
        spread: spreadOf(cached, bareCached)
      },
      {
        what: 'p99 of the 202 at half of that rate',
        value: median(p99s),
        unit: 'ms',
        against: { what: 'bare Fastify at the same rate', value: median(bareP99s) },
        target: { ratioAtMost: 3 },
        spread: spreadOf(p99s, bareP99s)
      },
      {
        what: 'the same',
        value: median(p99s),
        unit: 'ms',
        against: { what: durably, value: median(durableP99s) },
        spread: spreadOf(p99s, durableP99s)
      }
    ]
  })
}
