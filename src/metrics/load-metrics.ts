/** Metrics of what is refused, and of the load that it is refused for. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { overloadReasons, type OverloadReason } from '../domain/load.ts'

export interface LoadMetrics {
  /** A batch was refused under load. */
  shed: (reason: OverloadReason) => void
  /** A request was refused by a rate limit. */
  limited: (by: string) => void
  /** Names whom to ask for the load at each scrape. */
  watch: (load: () => LoadSeen) => void
}

/** `overloaded`: why intake takes nothing at the moment. */
interface LoadSeen { redisShare: number, loopDelayMs: number, batchesInHand: number, bytesInHand: number, overloaded: OverloadReason | undefined }

/** `bringUpToDate` is to be called before each scrape. */
export function makeLoadMetrics (registry: Registry): LoadMetrics & { bringUpToDate: () => void } {
  const registers = [registry]
  const shed = new Counter({ name: 'assent_shed_requests_total', help: 'Batches refused because there was too much to do', labelNames: ['reason'], registers })
  const limited = new Counter({ name: 'assent_rate_limited_requests_total', help: 'Requests refused by a rate limit', labelNames: ['by'], registers })
  const shedding = new Gauge({ name: 'assent_shedding', help: '1 while batches are refused, by reason', labelNames: ['reason'], aggregator: 'max', registers })
  const redisShare = new Gauge({ name: 'assent_redis_memory_ratio', help: 'Memory in use of what Redis may use; 0 where it may use all there is', aggregator: 'max', registers })
  const loopDelay = new Gauge({ name: 'assent_event_loop_delay_seconds', help: 'By how much the event loop was late a moment ago, on average', aggregator: 'max', registers })
  const batchesInHand = new Gauge({ name: 'assent_intake_in_hand_batches', help: 'Batches that have arrived and are not answered yet', registers })
  const bytesInHand = new Gauge({ name: 'assent_intake_in_hand_bytes', help: 'What has arrived of batches that are not answered yet', registers })
  for (const reason of overloadReasons) shed.inc({ reason }, 0)
  for (const by of ['subject', 'address']) limited.inc({ by }, 0)

  let ask: (() => LoadSeen) | undefined
  return {
    shed: reason => { shed.inc({ reason }) },
    limited: by => { limited.inc({ by }) },
    watch: load => { ask = load },
    bringUpToDate () {
      const load = ask?.()
      if (load === undefined) return
      for (const reason of overloadReasons) shedding.set({ reason }, reason === load.overloaded ? 1 : 0)
      redisShare.set(load.redisShare)
      loopDelay.set(load.loopDelayMs / 1000)
      batchesInHand.set(load.batchesInHand)
      bytesInHand.set(load.bytesInHand)
    }
  }
}
