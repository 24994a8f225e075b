/** Counts and durations for Prometheus. Labels come from closed sets: no subject, payload or address is ever one. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { Families } from './summed.ts'
import { makeTroubleCounter, type Trouble } from './troubles.ts'
import { makeWaitingGauges, type WaitingReaders } from './waiting.ts'
import { makeLoadMetrics, type LoadMetrics } from './load-metrics.ts'

export interface Metrics extends LoadMetrics {
  received: (counts: ReadonlyArray<{ outcome: string, reason: string, count: number }>) => void
  stored: (stored: { stored: number, failed: number, dropped: ReadonlyMap<string, number> }, durationMs: number) => void
  answered: (answer: { method: string, route: string, status: number, durationMs: number }) => void
  trouble: (what: Trouble) => void
  /** An insert of events did not go through. */
  insertFailed: (kind: string) => void
  letter: (outcome: 'sent' | 'failed' | 'expired') => void
  /** How many requests of the last days do not add up. */
  uneven: (requests: number) => void
  render: () => Promise<{ type: string, text: string }>
  /** What `render` shows, to be summed with that of other processes. */
  families: () => Promise<Families>
}

/** `insertErrorKinds`: all that `insertFailed` may be told, so that each is counted from 0. */
export function makeMetrics (waiting: WaitingReaders, insertErrorKinds: readonly string[]): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const received = new Counter({ name: 'assent_events_received_total', help: 'Events in accepted requests', registers })
  const accepted = new Counter({ name: 'assent_events_accepted_total', help: 'Events accepted at intake', registers })
  const dropped = new Counter({ name: 'assent_events_dropped_total', help: 'Events that consent did not permit', labelNames: ['reason', 'stage'], registers })
  const rejected = new Counter({ name: 'assent_events_rejected_total', help: 'Events that the catalogue refused', labelNames: ['reason'], registers })
  const stored = new Counter({ name: 'assent_events_stored_total', help: 'Rows inserted, repeats included', registers })
  const failed = new Counter({ name: 'assent_events_failed_total', help: 'Rows set aside in failed_events', registers })
  const trouble = makeTroubleCounter(registry)
  const insertRows = new Histogram({ name: 'assent_insert_rows', help: 'Rows per insert', buckets: [1, 10, 100, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000], registers })
  const insertSeconds = new Histogram({ name: 'assent_insert_seconds', help: 'From asking consent to stored', buckets: [0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30], registers })
  const insertErrors = new Counter({ name: 'assent_insert_errors_total', help: 'Inserts of events that did not go through, by kind', labelNames: ['kind'], registers })
  const letters = new Counter({ name: 'assent_mail_letters_total', help: 'Letters by what became of them; a failed one is tried again', labelNames: ['outcome'], registers })
  const requestSeconds = new Histogram({
    name: 'assent_request_seconds', help: 'From request to answer', labelNames: ['method', 'route', 'status'], buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5], registers
  })
  const uneven = new Gauge({ name: 'assent_books_uneven_requests', help: 'Requests of today and yesterday whose accepted events are not all stored, dropped or set aside', registers })

  const askWaiting = makeWaitingGauges(registry, waiting)
  const loadMetrics = makeLoadMetrics(registry)
  const bringUpToDate = async (): Promise<void> => {
    loadMetrics.bringUpToDate()
    await askWaiting()
  }
  // A rise is seen only from a value that was there before.
  for (const kind of insertErrorKinds) insertErrors.inc({ kind }, 0)
  for (const outcome of ['sent', 'failed', 'expired']) letters.inc({ outcome }, 0)

  return {
    ...loadMetrics,
    received (counts) {
      for (const { outcome, reason, count } of counts) {
        received.inc(count)
        if (outcome === 'accepted') accepted.inc(count)
        if (outcome === 'dropped') dropped.inc({ reason, stage: 'intake' }, count)
        if (outcome === 'rejected') rejected.inc({ reason }, count)
      }
    },
    stored (result, durationMs) {
      stored.inc(result.stored)
      failed.inc(result.failed)
      insertRows.observe(result.stored)
      insertSeconds.observe(durationMs / 1000)
      for (const [reason, count] of result.dropped) dropped.inc({ reason, stage: 'write' }, count)
    },
    answered ({ method, route, status, durationMs }) {
      requestSeconds.observe({ method, route, status: String(status) }, durationMs / 1000)
    },
    trouble: what => { trouble.inc({ what }) },
    insertFailed: kind => { insertErrors.inc({ kind }) },
    letter: outcome => { letters.inc({ outcome }) },
    uneven: requests => { uneven.set(requests) },
    async render () {
      await bringUpToDate()
      return { type: registry.contentType, text: await registry.metrics() }
    },
    async families () {
      await bringUpToDate()
      return await registry.getMetricsAsJSON()
    }
  }
}
