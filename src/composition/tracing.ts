/** Opens the tracing where a collector is named, and loads it only then. */
import type { Config } from '../config.ts'
import type { Tracing } from '../tracing/tracing.ts'

export async function openTracing (config: Config, closers: Array<() => Promise<unknown>>, onUnsent: (error: Error | undefined) => void): Promise<Tracing | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: serviceName } = config
  if (endpoint === undefined) return undefined
  const { makeTracing } = await import('../tracing/tracing.ts')
  const tracing = makeTracing({ endpoint, serviceName, onUnsent })
  closers.push(tracing.close)
  return tracing
}
