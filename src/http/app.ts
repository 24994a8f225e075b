/** The HTTP service: every registration in the order in which a request meets it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync, type FastifyRequest } from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import { registerAuth, type Scope, type TokenIssuer } from './auth.ts'
import { registerBody, type BodyLimits } from './body.ts'
import { document } from './document.ts'
import { answerBrokenRequest, answerExpectation, answerUnroutable, registerErrors } from './errors.ts'
import { registerMethodNotAllowed } from './method-not-allowed.ts'
import { answerHeaders, Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope that a caller's token must have, or one of several; a route without one is open to everybody. */
    scope?: Scope | readonly Scope[]
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
    http: { headersTimeout: timeouts.headersMs, connectionsCheckingInterval: timeouts.checkEveryMs, requireHostHeader: false },
    bodyLimit: options.bodyLimits.wireBytesMax,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: answerUnroutable,
    onProtoPoisoning: 'error',
    routerOptions: { maxParamLength: 512 }
  })
  app.setValidatorCompiler(validatorCompiler)
  // Answers are made by this service: they are described for the document, and written as they are.
  app.setSerializerCompiler(() => JSON.stringify)

  app.server.on('checkExpectation', answerExpectation)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(answerHeaders)
    refuseHosts(request)
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    options.onAnswer({ method: request.method, route, status: reply.statusCode, durationMs: reply.elapsedTime })
  })
  registerErrors(app)
  const finishMethods = registerMethodNotAllowed(app)
  await app.register(swagger, document)
  await app.register(swaggerUi, { routePrefix: '/docs' })
  await registerAuth(app, options.issuers, options.now)
  registerBody(app, options.bodyLimits)
  for (const routes of options.routes) await app.register(routes)
  app.get('/openapi.json', { schema: { summary: 'This document', tags: ['operators'] } }, async () => app.swagger())
  finishMethods()
  return app
}

/** A request names the host it is for, and one only (RFC 9112 section 3.2): what stands in between may have looked at the other. */
function refuseHosts ({ raw }: FastifyRequest): void {
  const hosts = raw.headersDistinct['host']?.length ?? 0
  if (hosts > 1 || (hosts === 0 && raw.httpVersion !== '1.0')) throw new Problem('invalid-request', { headers: { connection: 'close' } })
}
