/** What a collector does that is offered ten times what it can take by clients that ignore Retry-After. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { withCollector } from './collector.ts'
import { median, spreadOf } from './figures.ts'
import type { Flooded, FloodOptions } from './flood.ts'
import { connections, type Options } from './part.ts'
import type { Row } from './table.ts'
import { eventsPerBatch } from './traffic.ts'

const times = 10
const floodSeconds = 60

export async function measureOverload ({ seconds, say }: Options): Promise<Row[]> {
  return await withCollector(0, async ({ url, pid, token }) => {
    const flood = async (what: string, options: Omit<FloodOptions, 'url' | 'token'>): Promise<Flooded> => {
      const { stdout } = await promisify(execFile)(process.execPath, ['bench/flood.ts', JSON.stringify({ url, token, ...options })])
      const seen = JSON.parse(stdout) as Flooded
      say(`${what}: ${tell(seen)}; the collector has had ${peakMebibytes(pid).toFixed(0)} MiB at most`)
      return seen
    }
    /** As many as it takes, and no more. */
    const peak = async (): Promise<number> => (await flood('peak', { clients: connections, perSecond: 1e6, seconds })).acceptedPerSecond
    await peak()
    const peaks = [await peak()]
    const seen = await flood(`offered ${String(times)} times that`, { clients: connections * times, perSecond: peaks[0]! * times, seconds: floodSeconds })
    const memory = peakMebibytes(pid)
    peaks.push(await peak())
    const under = `at ${String(times)} × overload`
    return [
      {
        what: `accepted events/s ${under}`,
        value: seen.acceptedPerSecond * eventsPerBatch,
        unit: 'events/s',
        against: { what: 'as many as it takes', value: median(peaks) * eventsPerBatch },
        target: { ratioAtLeast: 0.8 },
        spread: spreadOf(peaks)
      },
      { what: `p99 of a refusal ${under}`, value: seen.refusedP99Ms, unit: 'ms', target: { atMost: 20 }, spread: 0 },
      { what: `p99 of the 202 ${under}`, value: seen.acceptedP99Ms, unit: 'ms', spread: 0 },
      { what: `most memory of the collector, ${under}`, value: memory, unit: 'MiB', target: { atMost: 300 }, spread: 0 }
    ]
  })
}

function tell ({ acceptedPerSecond, refusedPerSecond, acceptedP99Ms, refusedP99Ms, cores }: Flooded): string {
  return `${acceptedPerSecond.toFixed(0)} batches/s accepted (p99 ${acceptedP99Ms.toFixed(0)} ms), ${refusedPerSecond.toFixed(0)} refused (p99 ${refusedP99Ms.toFixed(1)} ms); sending took ${cores.toFixed(1)} cores`
}

/** Of resident memory, since the process started. */
function peakMebibytes (pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1]) / 1024
}
