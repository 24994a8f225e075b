/** Puts together what works off the queues: the writer of events, the outboxes, the mail. */
import { makeAccessLogTable } from '../clickhouse/access-log.ts'
import { makeEventTable } from '../clickhouse/event-table.ts'
import { makeLedgerTable, type PlacedEntry } from '../clickhouse/ledger-table.ts'
import { makeSecurityLog } from '../clickhouse/security-log.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import type { SecurityEvent } from '../domain/security-event.ts'
import { makeDeliverSecurityEvents } from '../flows/deliver-security-events.ts'
import type { Access } from '../flows/ports.ts'
import { drainOutbox } from '../flows/drain-outbox.ts'
import { makeStoreEvents } from '../flows/store-events.ts'
import { letterAbout, writeLetter } from '../mail/letters.ts'
import { startEventWorker, type EventWorker } from '../redis/event-worker.ts'
import { frameCodec } from '../redis/frame-codec.ts'
import { startMailWorker } from '../redis/mail-queue.ts'
import { makeOutbox, type Waiting } from '../redis/outbox.ts'
import { makeWithdrawals, startErasing } from './erasures.ts'
import { startExporting } from './exports.ts'
import { repeat } from './repeat.ts'
import type { ClickHouse } from '../clickhouse/client.ts'
import type { Parts } from './parts.ts'

const outboxPollMs = 200
/** A notice that could not be delivered for so long is of no use any more. */
const noticeLifetimeMs = 7 * 86_400_000

/** Starts all that works off what waits in Redis; each part is ended by `closers`. */
export function startWriter (parts: Parts, clickhouse: ClickHouse): EventWorker {
  const { logger, closers, catalog, redis, redisForWorker, box, consents, postOffice, metrics, tell, now } = parts
  const ledger = makeLedgerTable(clickhouse.client, 5000)
  const securityLog = makeSecurityLog(clickhouse.client)
  const deliverSecurityEvents = makeDeliverSecurityEvents({
    log: securityLog,
    openAddress: sealed => {
      try {
        return JSON.parse(box.open(sealed, 'address')) as { to: string, language: string | null }
      } catch {
        tell('address-unreadable')
        return undefined
      }
    },
    post: async ({ to, language }, event) => { await postOffice.post(writeLetter(to, language, letterAbout(event)), now() + noticeLifetimeMs) }
  })
  const accessLog = makeAccessLogTable(clickhouse.client)
  const eraseWithdrawn = makeWithdrawals(parts)
  const drains = [
    async () => await drainOutbox({ outbox: makeOutbox<LedgerEntry>(redis, 'ledger'), deliver: async waiting => {
      await eraseWithdrawn(waiting.map(({ entry }) => entry))
      await ledger.insert(waiting.map(placeOf))
    }, entriesMax: 1000 }),
    async () => await drainOutbox({ outbox: makeOutbox<SecurityEvent>(redis, 'security-log'), deliver: async waiting => { await deliverSecurityEvents(waiting.map(({ entry }) => entry)) }, entriesMax: 100 }),
    async () => await drainOutbox({ outbox: makeOutbox<Access>(redis, 'access-log'), deliver: async waiting => { await accessLog.insert(waiting.map(({ entry }) => entry)) }, entriesMax: 1000 })
  ]
  for (const drain of drains) {
    const draining = repeat(async () => await drain() === 0 ? outboxPollMs : 0, error => { tell('outbox-drain-failed', error) }, 1000)
    closers.push(draining.stop)
  }

  startExporting(parts, clickhouse)

  const mailRedis = redisForWorker()
  const mailWorker = startMailWorker(mailRedis, { deliver: postOffice.deliver, now, onTrouble: tell })
  closers.push(async () => { await mailWorker.close(); mailRedis.disconnect() })

  const store = makeStoreEvents({ catalog, consents, table: makeEventTable(clickhouse.client, now), frameCodec, now })
  startErasing(parts, clickhouse, store)
  const writerRedis = redisForWorker()
  const writer = startEventWorker(writerRedis, {
    store,
    onStored: (stored, batches, durationMs) => {
      metrics.stored(stored, durationMs)
      logger.debug({ stored: stored.stored, failed: stored.failed, batches, ms: Math.round(durationMs) }, 'events.stored')
    },
    onTrouble: tell,
    flushRowsMax: 5000,
    flushWaitMs: 100
  })
  closers.push(async () => { await writer.close(); writerRedis.disconnect() })
  return writer
}

function placeOf ({ entry, partition, notes }: Waiting<LedgerEntry>): PlacedEntry {
  return { entry, partition, previous: notes['previous'] ?? '', sequence: Number(notes['sequence'] ?? 0) }
}
