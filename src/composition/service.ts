/** The composition root: clients, stores, flows, HTTP and workers of one process, closed in reverse. */
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'
import type { Logger } from 'pino'
import { loadCatalog } from '../catalog/load-catalog.ts'
import { loadRegionPolicy } from '../catalog/load-region-policy.ts'
import { makeEventTable } from '../clickhouse/event-table.ts'
import { makeLedgerTable } from '../clickhouse/ledger-table.ts'
import { makeSecurityLog } from '../clickhouse/security-log.ts'
import { runSql } from '../clickhouse/sql-console.ts'
import type { Config } from '../config.ts'
import { loadIssuers } from '../crypto/issuers.ts'
import { hmacHex, makePseudonym, randomDigits, sameHash, sha256Hex } from '../crypto/keyed-hash.ts'
import { makeBackupCodes } from '../crypto/backup-codes.ts'
import { makeSealedBox } from '../crypto/sealed-box.ts'
import { makeSecretBox } from '../crypto/secret-box.ts'
import { makeVerificationTokens } from '../crypto/verification-tokens.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import type { SecurityEvent } from '../domain/security-event.ts'
import { makeDevelopmentIssuer } from '../dev/development-issuer.ts'
import { makeInbox } from '../dev/inbox.ts'
import { makeAcceptEvents } from '../flows/accept-events.ts'
import { makeAskConsent } from '../flows/ask-consent.ts'
import { makeChangeSettings } from '../flows/change-settings.ts'
import { makeCheckProof } from '../flows/check-proof.ts'
import { makeDeliverSecurityEvents } from '../flows/deliver-security-events.ts'
import { drainOutbox } from '../flows/drain-outbox.ts'
import { makeManageTwoStep } from '../flows/manage-two-step.ts'
import { makeSetOrgPolicy } from '../flows/set-org-policy.ts'
import { makeStoreEvents } from '../flows/store-events.ts'
import { makeVerifyPerson } from '../flows/verify-person.ts'
import { makeApp } from '../http/app.ts'
import { makeCursors } from '../http/cursors.ts'
import { makeMetricsServer } from '../http/metrics-server.ts'
import { catalogRoutes } from '../http/routes/catalog.ts'
import { consentRoutes } from '../http/routes/consent.ts'
import { devRoutes } from '../http/routes/dev.ts'
import { eventRoutes } from '../http/routes/events.ts'
import { organizationRoutes } from '../http/routes/organizations.ts'
import { operatorRoutes } from '../http/routes/operators.ts'
import { privacyRoutes } from '../http/routes/privacy.ts'
import { adminRoutes } from '../http/routes/admin.ts'
import { twoStepRoutes } from '../http/routes/two-step.ts'
import { verificationRoutes } from '../http/routes/verification.ts'
import { letterAbout, writeLetter } from '../mail/letters.ts'
import { makeSmtpTransport } from '../mail/mailer.ts'
import { qrSvg } from '../otp/qr-code.ts'
import { makeTotp } from '../otp/totp.ts'
import { makePostOffice } from '../mail/post-office.ts'
import { makeMetrics } from '../metrics/metrics.ts'
import { openStores, secretsOf } from './stores.ts'
import { challengeIdFor, makeChallengeStore } from '../redis/challenge-store.ts'
import { makeConsentStore } from '../redis/consent-store.ts'
import { makeDeviceRegister } from '../redis/device-register.ts'
import { makeEventQueue } from '../redis/event-queue.ts'
import { startEventWorker, type EventWorker } from '../redis/event-worker.ts'
import { frameCodec } from '../redis/frame-codec.ts'
import { accountPartition } from '../redis/keys.ts'
import { makeMailQueue, startMailWorker } from '../redis/mail-queue.ts'
import { makeOutbox } from '../redis/outbox.ts'
import { makeSecurityStore } from '../redis/security-store.ts'
import { repeat } from './repeat.ts'

export interface Service {
  url: string
  /** The writer of this process, when its role has one. */
  writer: EventWorker | undefined
  /** Takes no more requests, finishes what is in hand, and closes everything in reverse order. */
  close: () => Promise<void>
}

const schemasDir = new URL('../../schemas', import.meta.url).pathname
const outboxPollMs = 200
/** A notice that could not be delivered for so long is of no use any more. */
const noticeLifetimeMs = 7 * 86_400_000

/** @throws with one clear line when it cannot start; what had been opened is closed again */
export async function startService (config: Config, logger: Logger): Promise<Service> {
  const closers: Array<() => Promise<unknown>> = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const started = await compose(config, logger, closers)
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

async function compose (config: Config, logger: Logger, closers: Array<() => Promise<unknown>>): Promise<Omit<Service, 'close'>> {
  const now = Date.now
  const newId = randomUUID
  const collects = config.ROLE === 'all' || config.ROLE === 'collector'
  const writes = config.ROLE === 'all' || config.ROLE === 'writer'
  const serves = config.ROLE === 'all' || config.ROLE === 'api'
  const catalog = await loadCatalog(config.SCHEMAS_DIR ?? schemasDir)
  const regionalDefault = await loadRegionPolicy(config.REGION_POLICY_FILE)
  const issuers = config.ISSUERS_FILE === undefined ? [] : await loadIssuers(config.ISSUERS_FILE)
  const privacyContact = config.PRIVACY_CONTACT ?? 'privacy@example.com'

  const trouble = { tell: (_what: string, _error?: unknown): void => {} }
  const { redis, redisForWorker, clickhouse } = await openStores(config, closers, what => { trouble.tell(what) })
  const secrets = await secretsOf(config)
  const box = makeSealedBox(secrets.sealKeys)
  const pepper = (text: string): string => hmacHex(secrets.verificationPepper, text)

  const consents = makeConsentStore(redis, regionalDefault)
  const devices = makeDeviceRegister(redis)
  const queue = makeEventQueue(redis)
  const mailQueue = makeMailQueue(redis)
  closers.push(queue.close, mailQueue.close)
  const metrics = makeMetrics(queue.depth)
  trouble.tell = (what, error) => {
    metrics.trouble(what)
    logger.warn({ what, kind: kindOf(error) }, 'trouble.noticed')
  }

  const inbox = config.devTools && config.SMTP_URL === undefined ? makeInbox(now) : undefined
  const transport = inbox ?? makeSmtpTransport(config.SMTP_URL ?? '', config.MAIL_FROM)
  closers.push(async () => { transport.close(); await Promise.resolve() })
  const postOffice = makePostOffice({ queue: mailQueue, transport, box })

  const routes: FastifyPluginAsync[] = []
  const metricsServer = config.METRICS_PORT === undefined ? undefined : makeMetricsServer(metrics.render)
  routes.push(operatorRoutes({
    readiness: async () => {
      const [redisAnswers, clickhouseAnswers, pending] = await Promise.all([
        redis.ping().then(() => true, () => false),
        clickhouse?.client.ping().then(({ success }) => success),
        queue.depth().then(depth => depth.pending, () => null)
      ])
      return { redis: redisAnswers, clickhouse: clickhouseAnswers ?? null, pending }
    },
    metrics: metricsServer === undefined ? metrics.render : undefined
  }))

  if (collects) {
    const acceptEvents = makeAcceptEvents({
      catalog, consents, devices, queue, frameCodec, pseudonym: makePseudonym(secrets.pseudonymKey), eventAgeMaxMs: config.MAX_EVENT_AGE, now, newId
    })
    routes.push(
      eventRoutes({
        acceptEvents: async (owner, batch) => {
          const accepted = await acceptEvents(owner, batch)
          metrics.received(accepted.accepted, accepted.outcomes)
          return accepted
        },
        eventsPerBatchMax: config.BATCH_EVENTS_MAX,
        eventBytesMax: config.EVENT_BYTES_MAX
      }),
      consentRoutes({ askConsent: makeAskConsent({ catalog, consents }) }),
      catalogRoutes({ catalog })
    )
  }

  if (serves && clickhouse !== undefined) {
    const tokens = await makeVerificationTokens(secrets.verificationKeys, now)
    const limited = config.RATE_LIMITS === 'on'
    const codeMac = (challengeId: string, code: string): string => pepper(`code:${challengeId}:${code}`)
    const totp = makeTotp(config.TOTP_ISSUER)
    const backupCodes = makeBackupCodes(pepper)
    const secretBox = makeSecretBox(box)
    const accountSecurity = {
      security: makeSecurityStore(redis),
      sealAddress: (_accountId: string, address: { to: string, language: string | null }) => box.seal(JSON.stringify(address), 'address'),
      now,
      newId
    }
    const verifyPerson = makeVerifyPerson({
      ...accountSecurity,
      challenges: makeChallengeStore(redis, {
        limited,
        resendMs: limited ? config.EMAIL_RESEND_SECONDS * 1000 : 0,
        sendsPerHourMax: limited ? config.EMAIL_CODES_PER_HOUR : 0,
        sendsPerDayMax: limited ? config.EMAIL_CODES_PER_DAY : 0
      }, newId),
      checkProof: makeCheckProof({ codeMac, sameMac: sameHash, totp, secretBox, backupCodes, now }),
      mailCode: async ({ to, code, language, expiresAt }) => {
        const minutes = Math.round((expiresAt - now()) / 60_000)
        await postOffice.post(writeLetter(to, language, { kind: 'verification_code', code, minutes }), expiresAt)
      },
      mintToken: tokens.mint,
      readToken: tokens.read,
      newEmailCode: () => randomDigits(config.EMAIL_CODE_DIGITS),
      newChallengeId: accountId => challengeIdFor(accountId, newId()),
      codeMac,
      digest: sha256Hex,
      emailCodeDigits: config.EMAIL_CODE_DIGITS
    })
    const securityOutbox = makeOutbox<SecurityEvent>(redis, 'security-log')
    const securityLog = makeSecurityLog(clickhouse.client)
    const manageTwoStep = makeManageTwoStep({
      ...accountSecurity,
      totp,
      secretBox,
      backupCodes,
      events: {
        list: async (accountId, limit, before) => {
          await securityOutbox.drained(accountPartition(accountId), 5000)
          return await securityLog.list(accountId, limit, before)
        }
      },
      recoveryDelayMs: config.RECOVERY_DELAY ?? (config.production ? 86_400_000 : 0)
    })
    const changeSettings = makeChangeSettings({
      catalog,
      consents,
      devices,
      ledger: makeLedgerTable(clickhouse.client, 5000),
      sealLedger: text => hmacHex(secrets.ledgerKey, text),
      regionalDefault,
      now,
      newId
    })
    const cursors = makeCursors(pepper, sameHash)
    routes.push(
      privacyRoutes({ catalog, changeSettings, verifyPerson, privacyContact, cursors }),
      organizationRoutes({ setOrgPolicy: makeSetOrgPolicy({ catalog, policies: consents, now }), privacyContact }),
      twoStepRoutes({ manageTwoStep, verifyPerson, qrSvg, privacyContact, cursors }),
      adminRoutes({ manageTwoStep }),
      verificationRoutes({ verifyPerson, publicKeys: tokens.publicKeys, resendSeconds: limited ? config.EMAIL_RESEND_SECONDS : 0 })
    )
  }

  if (config.devTools && secrets.developmentKey !== undefined) {
    const development = await makeDevelopmentIssuer(secrets.developmentKey, now, newId)
    issuers.push(development.issuer)
    routes.push(devRoutes({
      mintToken: development.mint,
      lettersTo: inbox?.lettersTo,
      runSql: clickhouse === undefined ? undefined : async statement => await runSql(clickhouse.reader, statement)
    }))
  }

  let writer: EventWorker | undefined
  if (writes && clickhouse !== undefined) {
    const ledger = makeLedgerTable(clickhouse.client, 5000)
    const securityLog = makeSecurityLog(clickhouse.client)
    const deliverSecurityEvents = makeDeliverSecurityEvents({
      log: securityLog,
      openAddress: sealed => {
        try {
          return JSON.parse(box.open(sealed, 'address')) as { to: string, language: string | null }
        } catch {
          trouble.tell('address-unreadable')
          return undefined
        }
      },
      post: async ({ to, language }, event) => { await postOffice.post(writeLetter(to, language, letterAbout(event)), now() + noticeLifetimeMs) }
    })
    const drains = [
      async () => await drainOutbox({ outbox: makeOutbox<LedgerEntry>(redis, 'ledger'), deliver: ledger.insert, entriesMax: 1000 }),
      async () => await drainOutbox({ outbox: makeOutbox<SecurityEvent>(redis, 'security-log'), deliver: deliverSecurityEvents, entriesMax: 100 })
    ]
    for (const drain of drains) {
      const draining = repeat(async () => await drain() === 0 ? outboxPollMs : 0, error => { trouble.tell('outbox-drain-failed', error) }, 1000)
      closers.push(draining.stop)
    }

    const mailRedis = redisForWorker()
    const mailWorker = startMailWorker(mailRedis, { deliver: postOffice.deliver, now, onTrouble: trouble.tell })
    closers.push(async () => { await mailWorker.close(); mailRedis.disconnect() })

    const store = makeStoreEvents({ catalog, consents, table: makeEventTable(clickhouse.client), frameCodec })
    const writerRedis = redisForWorker()
    writer = startEventWorker(writerRedis, {
      store,
      onStored: (stored, batches, durationMs) => {
        metrics.stored(stored, durationMs)
        logger.debug({ stored: stored.stored, failed: stored.failed, batches, ms: Math.round(durationMs) }, 'events.stored')
      },
      onTrouble: trouble.tell,
      flushRowsMax: 5000,
      flushWaitMs: 100
    })
    const running = writer
    closers.push(async () => { await running.close(); writerRedis.disconnect() })
  }

  const app = await makeApp({
    logger,
    issuers,
    bodyLimits: { wireBytesMax: config.BATCH_BYTES_MAX, inflatedBytesMax: config.BATCH_INFLATED_BYTES_MAX },
    trustProxy: config.TRUST_PROXY,
    now,
    onAnswer: metrics.answered,
    routes
  })
  if (metricsServer !== undefined) {
    closers.push(async () => { await metricsServer.close() })
    await metricsServer.listen({ host: config.HOST, port: config.METRICS_PORT ?? 0 })
  }
  closers.push(async () => {
    // A connection whose last answer is on its way now falls idle later, and would be waited for until its client goes.
    const sweeping = setInterval(() => { app.server.closeIdleConnections() }, 100)
    await app.close()
    clearInterval(sweeping)
  })
  await app.listen({ host: config.HOST, port: config.PORT })
  const { port } = app.server.address() as AddressInfo
  return { url: `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${String(port)}`, writer }
}
