/** The HTTP service: every registration in the order in which a request meets it. */
import type { Socket } from 'node:net'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Scope } from '../domain/caller.ts'
import { registerAuth, type TokenIssuer } from './auth.ts'
import { registerBody, type BodyLimits } from './body.ts'
import { document } from './document.ts'
import { answerUnroutable, makeBrokenRequests, registerErrors } from './errors.ts'
import { compileShape } from './faults.ts'
import { registerIntakeGate, type IntakeGateOptions } from './intake-gate.ts'
import { registerMethodNotAllowed } from './method-not-allowed.ts'
import { answerHeaders, pageHeaders, Problem, type ProblemSlug } from './problem.ts'
import { registerRateLimits, type RateLimitOptions } from './rate-limits.ts'
import { registerTraces, type StartTrace } from './request-traces.ts'
import { registerWaitingRequests } from './waiting-requests.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope that a caller's token must have, or one of several. A route has either this or `public`. */
    scope?: Scope | readonly Scope[]
    /** Said of a route that is open to everybody. */
    public?: true
    /** The slug of 503 answers of this route. */
    unavailable?: 'unavailable' | 'verification-unavailable'
    /** What this route refuses, beside what every route of its kind does; for the document. */
    problems?: readonly ProblemSlug[]
  }
}

export interface AppOptions {
  logger: FastifyBaseLogger
  issuers: readonly TokenIssuer[]
  bodyLimits: BodyLimits
  trustProxy: string[]
  intake: IntakeGateOptions
  /** Undefined lifts them. */
  rateLimits: RateLimitOptions | undefined
  now: () => number
  /** Told of every answer: the route's pattern, never its address. */
  onAnswer: (answer: { method: string, route: string, status: number, durationMs: number }) => void
  /** Undefined traces nothing. */
  startTrace: StartTrace | undefined
  /** Whether this process ends soon: then every answer closes its connection, so that the client turns to another. */
  isStopping: () => boolean
  /** Routes in the order of the document. */
  routes: readonly FastifyPluginAsync[]
}

/** In characters, each. */
const paramLengthMax = 512
/** The browser of the documentation sets styles in its markup. */
const documentationPolicy = `${pageHeaders['content-security-policy']}; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'`
const timeouts = { headersMs: 8000, requestMs: 10_000, checkEveryMs: 1000, stalledAnswerMs: 10_000 }

export async function makeApp (options: AppOptions): Promise<FastifyInstance> {
  const brokenRequests = makeBrokenRequests()
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: options.trustProxy.length > 0 ? options.trustProxy : false,
    requestTimeout: timeouts.requestMs,
    http: { headersTimeout: timeouts.headersMs, connectionsCheckingInterval: timeouts.checkEveryMs, requireHostHeader: false },
    bodyLimit: options.bodyLimits.wireBytesMax,
    forceCloseConnections: 'idle',
    // A request that comes while the server closes is served: what it needs is closed later.
    return503OnClosing: false,
    clientErrorHandler: brokenRequests.answer,
    frameworkErrors: answerUnroutable,
    onProtoPoisoning: 'error',
    rewriteUrl: routableUrl,
    // Longer than Node lets an address be: it is refused below, where a call is on record.
    routerOptions: { maxParamLength: 65_536 }
  })
  app.setValidatorCompiler(compileShape)
  // Answers are made by this service: they are described for the document, and written as they are.
  app.setSerializerCompiler(() => JSON.stringify)

  registerTraces(app, options.startTrace)
  // Node would refuse it by itself; so it meets what every request meets.
  app.server.on('checkExpectation', (request, response) => { app.routing(request, response) })
  app.addHook('onRequest', (request, reply, done) => {
    brokenRequests.note(reply.raw)
    reply.raw.setTimeout(timeouts.stalledAnswerMs).on('timeout', closeStalledReader)
    reply.headers(answerHeaders)
    if (options.isStopping()) reply.header('connection', 'close')
    done(refusalOfHosts(request) ?? refusalOfExpectation(request) ?? refusalOfLongAddress(request))
  })
  app.addHook('onResponse', (request, reply, done) => {
    brokenRequests.forget(reply.raw)
    const route = request.routeOptions.url ?? 'none'
    options.onAnswer({ method: request.method, route, status: reply.statusCode, durationMs: reply.elapsedTime })
    done()
  })
  registerErrors(app)
  registerWaitingRequests(app)
  const finishMethods = registerMethodNotAllowed(app)
  // What these add to a request, requests of the pages of /docs have only if it is there before them.
  registerIntakeGate(app, options.intake)
  const { limitAddresses, limitSubjects } = await registerRateLimits(app, options.rateLimits)
  await app.register(swagger, document)
  // Written once: to write it takes some milliseconds, and anybody may ask for it.
  let written: Buffer | undefined
  const sendDocument = (reply: FastifyReply): FastifyReply => reply.type('application/json; charset=utf-8').send(written ??= Buffer.from(JSON.stringify(app.swagger())))
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: documentationPolicy,
    uiHooks: {
      onRequest: (request, reply, next) => {
        reply.headers(pageHeaders)
        if (request.routeOptions.url === '/docs/json') sendDocument(reply)
        else next()
      }
    }
  })
  limitAddresses()
  await registerAuth(app, options.issuers, options.now)
  limitSubjects()
  registerBody(app, options.bodyLimits)
  for (const routes of options.routes) await app.register(routes)
  app.get('/openapi.json', { config: { public: true }, schema: { summary: 'This document', tags: ['operators'] } }, async (_request, reply) => sendDocument(reply))
  finishMethods()
  return app
}

/** Nothing has moved for a while: a client that takes no more of its answer would keep what makes it. Work may take its time. */
function closeStalledReader (socket: Socket): void {
  if (socket.writableLength > 0) socket.destroy()
}

/** A request names the host it is for, and one only (RFC 9112 section 3.2): what stands in between may have looked at the other. */
function refusalOfHosts ({ raw }: FastifyRequest): Problem | undefined {
  const hosts = raw.headersDistinct['host']?.length ?? 0
  if (hosts > 1 || (hosts === 0 && raw.httpVersion !== '1.0')) return new Problem('invalid-request', { headers: { connection: 'close' } })
  return undefined
}

/** An Expect header that Node does not know (RFC 9110 section 10.1.1). */
function refusalOfExpectation ({ raw }: FastifyRequest): Problem | undefined {
  const { expect } = raw.headers
  if (expect === undefined || raw.httpVersion !== '1.1' || /(?:^|\W)100-continue(?:$|\W)/i.test(expect)) return undefined
  return new Problem('expectation-failed', { headers: { connection: 'close' } })
}

function refusalOfLongAddress ({ params }: FastifyRequest): Problem | undefined {
  return Object.values(params ?? {}).some(value => String(value).length > paramLengthMax) ? new Problem('uri-too-long') : undefined
}

/** An address that is not UTF-8 is no route's; the router would answer it past every hook. */
function routableUrl ({ url = '' }: { url?: string | undefined }): string {
  try {
    decodeURI(url.split(/[?#]/, 1)[0] ?? '')
    return url
  } catch {
    return '/*'
  }
}
