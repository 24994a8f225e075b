/** The composition root: clients, stores, flows, HTTP and workers of one process, closed in reverse. */
import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import type { Logger } from 'pino'
import { loadCatalog } from '../catalog/load-catalog.ts'
import { loadRegionPolicy } from '../catalog/load-region-policy.ts'
import { insertErrorKinds } from '../clickhouse/insert-error.ts'
import { runSql } from '../clickhouse/sql-console.ts'
import type { Config } from '../config.ts'
import { loadIssuers } from '../crypto/issuers.ts'
import { hmacHex } from '../crypto/keyed-hash.ts'
import { makeSealedBox } from '../crypto/sealed-box.ts'
import { makeDevelopmentIssuer } from '../dev/development-issuer.ts'
import { makeInbox } from '../dev/inbox.ts'
import { makeAskConsent } from '../flows/ask-consent.ts'
import { makeApp } from '../http/app.ts'
import { makeMetricsServer } from '../http/metrics-server.ts'
import { catalogRoutes } from '../http/routes/catalog.ts'
import { consentRoutes } from '../http/routes/consent.ts'
import { devRoutes } from '../http/routes/dev.ts'
import { eventRoutes } from '../http/routes/events.ts'
import { operatorRoutes } from '../http/routes/operators.ts'
import { makeSmtpTransport } from '../mail/mailer.ts'
import { makePostOffice } from '../mail/post-office.ts'
import { makeMetrics, type Metrics } from '../metrics/metrics.ts'
import type { Families } from '../metrics/summed.ts'
import type { Trouble } from '../metrics/troubles.ts'
import { openStores, secretsOf } from './stores.ts'
import { readBacklogs } from '../redis/backlog.ts'
import { makeConsentStore } from '../redis/consent-store.ts'
import { makeDeviceRegister } from '../redis/device-register.ts'
import { makeEventQueue } from '../redis/event-queue.ts'
import type { EventWorker } from '../redis/event-worker.ts'
import { makeMailQueue } from '../redis/mail-queue.ts'
import { startIntake } from './intake.ts'
import { listen } from './listen.ts'
import { makeRateLimits, watchLoad } from './load.ts'
import type { Parts } from './parts.ts'
import { guardState, isWholeOrNew, rebuildIfBehind, type StateGuard } from './rebuild.ts'
import { makePeopleRoutes } from './people-routes.ts'
import { makeReadiness } from './readiness.ts'
import { share } from './share.ts'
import { makeTeamRoutes } from './team-routes.ts'
import { openTracing } from './tracing.ts'
import { startWriter } from './writer.ts'

export interface Service {
  url: string
  /** Where the metrics are, when they have a port of their own. */
  metricsUrl: string | undefined
  /** The writer of this process, when its role has one. */
  writer: EventWorker | undefined
  /** The metrics of this process. */
  families: () => Promise<Families>
  /** Says from here on that others should be asked instead, and still serves. */
  leave: () => void
  /** Takes no more requests, finishes what is in hand, and closes everything in reverse order. */
  close: () => Promise<void>
}

const schemasHere = new URL('../../schemas', import.meta.url).pathname

/**
 * `renderAll`: renders the metrics of all processes that share the port of this one. Who gives it serves METRICS_PORT.
 * @throws with one clear line when it cannot start; what had been opened is closed again
 */
export async function startService (config: Config, logger: Logger, renderAll?: Metrics['render']): Promise<Service> {
  const closers: Array<() => Promise<unknown>> = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const started = await compose(config, logger, closers, renderAll)
    return { ...started, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The kind of an error, from the names and codes of libraries: never its message, which may quote what it was about. */
function kindOf (error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  const cause = kindOf(error.cause)
  return [error.name, code].filter(part => typeof part === 'string').join(' ') + (cause === undefined ? '' : ` < ${cause}`)
}

async function compose (config: Config, logger: Logger, closers: Array<() => Promise<unknown>>, renderAll?: Metrics['render']): Promise<Omit<Service, 'close'>> {
  const now = Date.now
  const newId = randomUUID
  const collects = config.ROLE === 'all' || config.ROLE === 'collector'
  const writes = config.ROLE === 'all' || config.ROLE === 'writer'
  const serves = config.ROLE === 'all' || config.ROLE === 'api'
  const schemasDir = config.SCHEMAS_DIR ?? schemasHere
  const catalog = await loadCatalog(schemasDir)
  const regionalDefault = await loadRegionPolicy(config.REGION_POLICY_FILE)
  const issuers = config.ISSUERS_FILE === undefined ? [] : await loadIssuers(config.ISSUERS_FILE, config).catch((cause: unknown) => { throw new Error(`ISSUERS_FILE: ${(cause as Error).message}`, { cause }) })
  const privacyContact = config.PRIVACY_CONTACT ?? 'privacy@example.com'

  const stopping = { yes: false }
  const trouble = { tell: (_what: Trouble, _error?: unknown): void => {} }
  const tracing = await openTracing(config, closers, error => { trouble.tell('traces-unsent', error) })
  const { redis, redisForWorker, clickhouse } = await openStores(config, closers, what => { trouble.tell(what) })
  const secrets = await secretsOf(config)
  const say = (line: string): void => { process.stderr.write(`assent: ${line}\n`) }
  let guard: StateGuard | undefined
  if (clickhouse !== undefined) {
    await rebuildIfBehind(redis, clickhouse, secrets.ledgerKey, say)
    guard = guardState(redis, clickhouse, secrets.ledgerKey, { say, tell: (what, error) => { trouble.tell(what, error) }, now })
    closers.push(guard.stop)
  } else if (!await isWholeOrNew(redis)) {
    say('the choices in Redis have not been made whole yet; until a process with another ROLE has started, every batch is answered 503')
  }
  const box = makeSealedBox(secrets.sealKeys)
  const pepper = (text: string): string => hmacHex(secrets.verificationPepper, text)

  const consents = makeConsentStore(redis, regionalDefault)
  const devices = makeDeviceRegister(redis)
  const queue = makeEventQueue(redis)
  const mailQueue = makeMailQueue(redis)
  closers.push(queue.close, mailQueue.close)
  // Anybody may ask, and as often as they like.
  const readiness = share(makeReadiness({ role: config.ROLE, redis, clickhouse, pending: queue.pending, isStopping: () => stopping.yes }))
  const metrics = makeMetrics({
    ready: async () => (await readiness()).ready,
    queueDepth: queue.depth,
    backlogs: async () => await readBacklogs(redis, now()),
    pendingLetters: mailQueue.pending
  }, insertErrorKinds)
  trouble.tell = (what, error) => {
    metrics.trouble(what)
    logger.warn({ what, kind: kindOf(error) }, 'trouble.noticed')
  }

  const inbox = config.devTools && config.SMTP_URL === undefined ? makeInbox(now) : undefined
  const transport = inbox ?? makeSmtpTransport(config.SMTP_URL ?? '', config.MAIL_FROM)
  closers.push(async () => { transport.close(); await Promise.resolve() })
  const postOffice = makePostOffice({ queue: mailQueue, transport, box })

  const parts: Parts = {
    config, logger, closers, schemasDir, catalog, regionalDefault, privacyContact, redis, redisForWorker, secrets, box, pepper, consents, devices, queueBooks: queue, postOffice, metrics, tracing, tell: trouble.tell, now, newId
  }

  const routes: FastifyPluginAsync[] = []
  const render = renderAll ?? share(metrics.render)
  const metricsServer = config.METRICS_PORT === undefined || renderAll !== undefined ? undefined : makeMetricsServer(render)
  routes.push(operatorRoutes({
    readiness,
    metrics: config.METRICS_PORT === undefined ? render : undefined
  }))

  if (collects) {
    routes.push(
      eventRoutes({ takeBatch: await startIntake(parts, tracing?.queue(queue) ?? queue), onTaken: metrics.received, wireBytesMax: config.BATCH_BYTES_MAX }),
      consentRoutes({ askConsent: makeAskConsent({ catalog, consents, now }) }),
      catalogRoutes({ catalog })
    )
  }

  if (serves && clickhouse !== undefined) routes.push(...await makePeopleRoutes(parts, clickhouse), makeTeamRoutes(parts, clickhouse))

  if (config.devTools && secrets.developmentKey !== undefined) {
    const development = await makeDevelopmentIssuer(secrets.developmentKey, now, newId)
    issuers.push(development.issuer)
    routes.push(devRoutes({
      mintToken: development.mint,
      lettersTo: inbox?.lettersTo,
      runSql: clickhouse === undefined ? undefined : async statement => await runSql(clickhouse.reader, statement)
    }))
  }

  const writer = writes && clickhouse !== undefined && guard !== undefined ? startWriter(parts, clickhouse, guard) : undefined

  const app = await makeApp({
    logger,
    issuers,
    bodyLimits: { wireBytesMax: config.BATCH_BYTES_MAX, inflatedBytesMax: config.BATCH_INFLATED_BYTES_MAX },
    trustProxy: config.TRUST_PROXY,
    intake: watchLoad(parts, queue.pending),
    rateLimits: makeRateLimits(parts),
    now,
    onAnswer: metrics.answered,
    startTrace: tracing?.startRequest,
    isStopping: () => stopping.yes,
    routes
  })
  let metricsUrl: string | undefined
  if (metricsServer !== undefined) {
    closers.push(async () => { await metricsServer.close() })
    metricsUrl = `${await listen(metricsServer, config.HOST, 'METRICS_PORT', config.METRICS_PORT ?? 0)}/metrics`
  }
  closers.push(async () => {
    // A connection whose last answer is on its way now falls idle later, and would be waited for until its client goes.
    const sweeping = setInterval(() => { app.server.closeIdleConnections() }, 100)
    await app.close()
    clearInterval(sweeping)
  })
  const url = await listen(app, config.HOST, 'PORT', config.PORT)
  return { url, metricsUrl, writer, families: metrics.families, leave: () => { stopping.yes = true } }
}
