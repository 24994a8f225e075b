/** For those who run the service: is it alive, can it work, how much does it do; and what its errors mean. */
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { pageHeaders, Problem, problems } from '../problem.ts'

/** `stopping`: the process was told to end. `whole`: Redis holds all choices that the ledger tells. `clickhouse` is null in a process that does not use it. */
export interface Readiness { ready: boolean, stopping: boolean, redis: boolean, whole: boolean, clickhouse: boolean | null, pending: number | null }

export interface OperatorRouteOptions {
  readiness: () => Promise<Readiness>
  /** In Prometheus' text form; undefined when metrics have a port of their own. */
  metrics: (() => Promise<{ type: string, text: string }>) | undefined
}

/** Whoever watches the service must see it most when it has too much to do. */
const watched = { public: true, unlimited: true } as const
const readinessShape = z.object({ ready: z.boolean(), stopping: z.boolean(), redis: z.boolean(), whole: z.boolean(), clickhouse: z.boolean().nullable(), pending: z.int().nullable() })

export function operatorRoutes ({ readiness, metrics }: OperatorRouteOptions): FastifyPluginAsync {
  return async app => {
    app.get('/health/live', {
      config: watched,
      schema: { summary: 'The process is alive', tags: ['operators'], response: { 200: z.object({ live: z.literal(true) }) } }
    }, async () => ({ live: true }))

    app.get('/health/ready', {
      config: watched,
      schema: { summary: 'The service can do its work', tags: ['operators'], response: { 200: readinessShape, 503: readinessShape } }
    }, async (_request, reply) => {
      const state = await readiness()
      if (!state.ready) reply.code(503).header('retry-after', '1')
      return state
    })

    if (metrics !== undefined) {
      app.get('/metrics', { config: watched, schema: { summary: 'Metrics for Prometheus', tags: ['operators'], produces: ['text/plain'] } }, async (_request, reply) => {
        const { type, text } = await metrics()
        return await reply.header('content-type', type).send(text)
      })
    }

    app.get<{ Params: { slug: string } }>('/problems/:slug', {
      config: { public: true, problems: ['not-found'] },
      schema: { summary: 'What an error means', tags: ['operators'], produces: ['text/html'], params: z.strictObject({ slug: z.string().max(64) }) }
    }, async (request, reply) => {
      const { slug } = request.params
      if (!Object.hasOwn(problems, slug)) throw new Problem('not-found')
      const { status, title, help } = problems[slug as keyof typeof problems]
      return await reply.headers(pageHeaders).type('text/html; charset=utf-8').serializer(String).send(
        `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>${slug}, HTTP status ${String(status)}</p><p>${help}</p></html>`)
    })
  }
}
