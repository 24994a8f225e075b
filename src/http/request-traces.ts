/** Tells the tracing, where there is one, when a request comes and when it is over. */
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** `route` is a pattern, never an address; an undefined `status` says that the client did not wait for the answer. */
export type StartTrace = (request: { method: string, route: string, traceparent: unknown }) => {
  run: (next: () => void) => void
  end: (status: number | undefined) => void
}

export function registerTraces (app: FastifyInstance, startTrace: StartTrace | undefined): void {
  if (startTrace === undefined) return
  const traces = new WeakMap<FastifyRequest, ReturnType<StartTrace>>()
  app.addHook('onRequest', async (request, reply) => {
    const trace = startTrace({ method: request.method, route: request.routeOptions.url ?? 'none', traceparent: request.headers['traceparent'] })
    traces.set(request, trace)
    reply.raw.once('close', () => { trace.end(reply.raw.writableFinished ? reply.statusCode : undefined) })
  })
  // Not before: reading a body leaves the context in which the hooks before it ran.
  app.addHook('preHandler', (request, _reply, done) => {
    const trace = traces.get(request)
    if (trace === undefined) done()
    else trace.run(done)
  })
}
