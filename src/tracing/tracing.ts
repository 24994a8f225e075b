/** Traces for an OTLP collector. Loaded only where one is named: this file and its packages cost nothing otherwise. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Context, type Link, type Span, type SpanOptions } from '@opentelemetry/api'
import { ExportResultCode, parseTraceParent, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace'
import type { EventQueue, EventTable } from '../flows/ports.ts'
import type { StoreEvents } from '../flows/store-events.ts'

export interface TracingOptions {
  /** Of the collector; traces go to `/v1/traces` below it. */
  endpoint: string
  serviceName: string
  onUnsent: (error: Error | undefined) => void
}

export interface RequestTrace {
  /** Runs what the request causes; its spans become children of the request's. */
  run: (next: () => void) => void
  /** `status` is undefined where the client did not wait for the answer. */
  end: (status: number | undefined) => void
}

export interface Tracing {
  /** `route` is a pattern; `traceparent` that of the caller (W3C Trace Context). */
  startRequest: (request: { method: string, route: string, traceparent: unknown }) => RequestTrace
  queue: (queue: EventQueue) => EventQueue
  store: (store: StoreEvents) => StoreEvents
  table: (table: EventTable) => EventTable
  /** Sends what there is, as far as that takes no longer than an export may. */
  close: () => Promise<void>
}

const exportTimeoutMs = 3000
/** Of the batches of one insert no more are pointed to. */
const linksMax = 400
const propagator = new W3CTraceContextPropagator()

/** Spans say what was done, when and how it ended; never of whom, nor what an error says, which may quote a row. */
export function makeTracing ({ endpoint, serviceName, onUnsent }: TracingOptions): Tracing {
  const exporter = tellUnsent(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, timeoutMillis: exportTimeoutMs }), onUnsent)
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanLimits: { linkCountLimit: linksMax },
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000, exportTimeoutMillis: exportTimeoutMs })]
  })
  const tracer = provider.getTracer('assent')
  const current = new AsyncLocalStorage<Context>()

  const during = async <T>(name: string, options: SpanOptions, parent: Context, work: (span: Span) => Promise<T>): Promise<T> => {
    const span = tracer.startSpan(name, options, parent)
    try {
      return await current.run(trace.setSpan(parent, span), async () => await work(span))
    } catch (error) {
      span.setAttribute('error.type', error instanceof Error ? error.name : 'unknown')
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  }

  return {
    startRequest ({ method, route, traceparent }) {
      // Without tracestate, which may say anything.
      const parent = propagator.extract(ROOT_CONTEXT, { traceparent }, { get: carrier => (carrier as { traceparent: string }).traceparent, keys: () => ['traceparent'] })
      const span = tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes: { 'http.request.method': method, 'http.route': route } }, parent)
      return {
        run: next => { current.run(trace.setSpan(parent, span), next) },
        end (status) {
          if (status !== undefined) span.setAttribute('http.response.status_code', status)
          if (status === undefined || status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
          span.end()
        }
      }
    },

    queue: queue => ({
      add: async batch => {
        await during('queue.add', { kind: SpanKind.PRODUCER }, current.getStore() ?? ROOT_CONTEXT, async span => {
          await queue.add({ ...batch, trace: traceparentOf(span) })
        })
      }
    }),

    // Many requests meet in one insert, so it is a trace of its own that points to theirs.
    store: store => async (batches, again) => {
      const options = { kind: SpanKind.CONSUMER, links: batches.flatMap(({ trace }) => linksTo(trace)), attributes: { 'assent.batches': batches.length, 'assent.again': again } }
      return await during('writer.store', options, ROOT_CONTEXT, async () => await store(batches, again))
    },

    table: table => {
      const options = { kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'clickhouse', 'db.operation.name': 'INSERT' } }
      const traced = <Parameters extends unknown[]> (insert: (...given: Parameters) => Promise<void>) => async (...given: Parameters): Promise<void> => {
        await during('clickhouse.insert', options, current.getStore() ?? ROOT_CONTEXT, async () => { await insert(...given) })
      }
      return { ...table, insertFrames: traced(table.insertFrames), insertRows: traced(table.insertRows) }
    },

    async close () {
      await provider.shutdown().catch(() => {}) // What could not be sent was told.
    }
  }
}

/** A collector that is away is told of once for each failed export, and otherwise changes nothing. */
function tellUnsent (exporter: SpanExporter, onUnsent: TracingOptions['onUnsent']): SpanExporter {
  return {
    export (spans, done) {
      exporter.export(spans, result => {
        if (result.code !== ExportResultCode.SUCCESS) onUnsent(result.error)
        done(result)
      })
    },
    shutdown: async () => { await exporter.shutdown() }
  }
}

function traceparentOf (span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}

function linksTo (traceparent: string | undefined): Link[] {
  const context = traceparent === undefined ? null : parseTraceParent(traceparent)
  return context === null ? [] : [{ context: { ...context, isRemote: true } }]
}
