/** A path that exists answers a method it does not take with 405 and what it does take. */
import { METHODS } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Problem } from './problem.ts'

/** Call the function it returns when every route is there. */
export function registerMethodNotAllowed (app: FastifyInstance): () => void {
  const methodsByUrl = new Map<string, Set<string>>()
  // Fastify knows some of the methods that Node reads, and would answer the others with 404.
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  app.addHook('onRoute', ({ url, method, schema }) => {
    if ((schema as { hide?: boolean } | undefined)?.hide === true) return // Pages of the documentation browser.
    const methods = methodsByUrl.get(url) ?? new Set()
    for (const one of [method].flat()) methods.add(one)
    methodsByUrl.set(url, methods)
  })
  return () => {
    for (const [url, taken] of [...methodsByUrl]) {
      const allow = [...taken].sort().join(', ')
      const others = app.supportedMethods.filter(method => !taken.has(method))
      if (others.length === 0) continue
      app.route({
        method: others,
        url,
        config: { public: true },
        schema: { hide: true },
        exposeHeadRoute: false,
        onRequest: async () => { throw new Problem('method-not-allowed', { headers: { allow } }) },
        handler: async () => {}
      })
    }
  }
}
