/** The HTTP service: every registration in the order in which a request meets it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod'
import { registerAuth, type Scope, type TokenIssuer } from './auth.ts'
import { registerBody, type BodyLimits } from './body.ts'
import { answerBrokenRequest, registerErrors } from './errors.ts'
import { registerMethodNotAllowed } from './method-not-allowed.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope that a caller's token must have; a route without one is open to everybody. */
    scope?: Scope
    /** The slug of 503 answers of this route. */
    unavailable?: 'unavailable' | 'verification-unavailable'
  }
}

export interface AppOptions {
  logger: FastifyBaseLogger
  issuers: readonly TokenIssuer[]
  bodyLimits: BodyLimits
  trustProxy: string[]
  now: () => number
  /** Told of every answer: the route's pattern, never its address. */
  onAnswer: (answer: { method: string, route: string, status: number, durationMs: number }) => void
  /** Routes in the order of the document. */
  routes: readonly FastifyPluginAsync[]
}

const timeouts = { headersMs: 8000, requestMs: 10_000, checkEveryMs: 1000 }

export async function makeApp (options: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: options.trustProxy.length > 0 ? options.trustProxy : false,
    requestTimeout: timeouts.requestMs,
    http: { headersTimeout: timeouts.headersMs, connectionsCheckingInterval: timeouts.checkEveryMs },
    bodyLimit: options.bodyLimits.wireBytesMax,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerBrokenRequest,
    onProtoPoisoning: 'error',
    routerOptions: { maxParamLength: 512 }
  })
  app.setValidatorCompiler(validatorCompiler)
  // Answers are made by this service: they are described for the document, and written as they are.
  app.setSerializerCompiler(() => JSON.stringify)

  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    options.onAnswer({ method: request.method, route, status: reply.statusCode, durationMs: reply.elapsedTime })
  })
  registerErrors(app)
  const finishMethods = registerMethodNotAllowed(app)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Assent', version: '1', description: 'Usage analytics that honours consent.', license: { name: 'Apache-2.0' } },
      components: { securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } }
    },
    transform: jsonSchemaTransform
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
  await registerAuth(app, options.issuers, options.now)
  registerBody(app, options.bodyLimits)
  for (const routes of options.routes) await app.register(routes)
  app.get('/openapi.json', { schema: { summary: 'This document', tags: ['operators'] } }, async () => app.swagger())
  finishMethods()
  return app
}
