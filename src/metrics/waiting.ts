/** What waits in Redis and whether the process can work, asked at each scrape. While it cannot be told, its gauges are left out: an old value would look well. */
import { Gauge, type Registry } from 'prom-client'

export interface WaitingReaders {
  ready: () => Promise<boolean>
  queueDepth: () => Promise<{ pending: number, dead: number, oldestAgeMs: number }>
  /** What is on its way to ClickHouse or waits to be worked off, by stream. */
  backlogs: () => Promise<ReadonlyArray<{ stream: string, entries: number, oldestAgeMs: number }>>
  pendingLetters: () => Promise<number>
}

/** Returns what brings the gauges up to date. */
export function makeWaitingGauges (registry: Registry, readers: WaitingReaders): () => Promise<void> {
  const registers = [registry]
  // Of several processes that share a port each reads the same of Redis.
  const ready = new Gauge({ name: 'assent_ready', help: '1 when the process can work, as /health/ready tells', aggregator: 'min', registers })
  const pending = new Gauge({ name: 'assent_queue_pending_jobs', help: 'Jobs not yet stored; each holds the batches that arrived together', aggregator: 'max', registers })
  const dead = new Gauge({ name: 'assent_queue_dead_jobs', help: 'Jobs set aside after too many starts', aggregator: 'max', registers })
  const oldest = new Gauge({ name: 'assent_queue_oldest_seconds', help: 'Age of the job that has waited longest', aggregator: 'max', registers })
  const letters = new Gauge({ name: 'assent_mail_pending_letters', help: 'Letters not yet sent', aggregator: 'max', registers })
  const entries = new Gauge({ name: 'assent_backlog_entries', help: 'Entries of a stream that wait to be worked off', labelNames: ['stream'], aggregator: 'max', registers })
  const ages = new Gauge({ name: 'assent_backlog_oldest_seconds', help: 'Age of the entry of a stream that has waited longest', labelNames: ['stream'], aggregator: 'max', registers })

  const orForget = async (gauges: readonly Gauge[], read: () => Promise<void>): Promise<void> => {
    await read().catch(() => {
      for (const gauge of gauges) gauge.remove()
    })
  }
  return async () => {
    await Promise.all([
      readers.ready().then(isReady => { ready.set(isReady ? 1 : 0) }),
      orForget([pending, dead, oldest], async () => {
        const depth = await readers.queueDepth()
        pending.set(depth.pending)
        dead.set(depth.dead)
        oldest.set(depth.oldestAgeMs / 1000)
      }),
      orForget([letters], async () => { letters.set(await readers.pendingLetters()) }),
      readers.backlogs().catch(() => []).then(backlogs => {
        entries.reset()
        ages.reset()
        for (const backlog of backlogs) {
          entries.set({ stream: backlog.stream }, backlog.entries)
          ages.set({ stream: backlog.stream }, backlog.oldestAgeMs / 1000)
        }
      })
    ])
  }
}
