/** The metrics of several processes as those of one. */
import { AggregatorRegistry, Gauge, Registry } from 'prom-client'
import { makeTroubleCounter, type Trouble } from './troubles.ts'

/** All metrics of one process, as plain values. */
export type Families = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

export interface SummedMetrics {
  trouble: (what: Trouble) => void
  /** A process has told its metrics. */
  told: (id: number, families: Families) => void
  /** A process has ended. What it had counted when it last told stays in the sums: a sum that falls looks like a new start of all. */
  ended: (id: number) => void
  /** `current`: those that told just now. Of others only what they had counted is shown. */
  render: (current: ReadonlySet<number>) => Promise<{ type: string, text: string }>
}

/** `expected`: how many processes there are to be. */
export function makeSummedMetrics (expected: number): SummedMetrics {
  const registry = new Registry()
  const trouble = makeTroubleCounter(registry)
  const ready = new Gauge({ name: 'assent_ready', help: '1 when every process can work, as /health/ready tells', aggregator: 'min', registers: [registry] })
  const latest = new Map<number, Families>()
  let ofEnded: Promise<Families> = Promise.resolve([])

  /** Awaited until nothing has ended meanwhile, so that nothing is missing from both. */
  const settled = async (): Promise<Families> => {
    const asked = ofEnded
    const families = await asked
    return asked === ofEnded ? families : await settled()
  }

  return {
    trouble: what => { trouble.inc({ what }) },
    told: (id, families) => { latest.set(id, families) },
    ended (id) {
      const counted = onlyCounted(latest.get(id) ?? [])
      latest.delete(id)
      ofEnded = ofEnded.then(async before => await AggregatorRegistry.aggregate([before, counted]).getMetricsAsJSON())
    },
    async render (current) {
      ready.set(current.size === expected ? 1 : 0)
      const own = await registry.getMetricsAsJSON()
      const before = await settled()
      const living = [...latest].map(([id, families]) => current.has(id) ? families : onlyCounted(families))
      const sum = AggregatorRegistry.aggregate([own, before, ...living])
      return { type: sum.contentType, text: await sum.metrics() }
    }
  }
}

/** What only grows. What a process holds at the moment is gone with it. */
function onlyCounted (families: Families): Families {
  return families.filter(({ type }) => ['counter', 'histogram'].includes(String(type)))
}
