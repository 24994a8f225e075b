/** Puts together what works off the queues: the writer of events, the outboxes, the mail. */
import { makeAccessLogTable } from '../clickhouse/access-log.ts'
import { makePrivacyStatistics } from '../clickhouse/privacy-statistics.ts'
import { insertErrorKind } from '../clickhouse/insert-error.ts'
import { makeEventTable } from '../clickhouse/event-table.ts'
import { makeLedgerTable, type PlacedEntry } from '../clickhouse/ledger-table.ts'
import { makePolicyTable } from '../clickhouse/policy-table.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { isReadable, type Access, type ConsentReader, type EventTable, type PolicyEntry } from '../flows/ports.ts'
import { drainOutbox } from '../flows/drain-outbox.ts'
import { makeStoreEvents } from '../flows/store-events.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { startEventWorker, type EventWorker } from '../redis/event-worker.ts'
import { makeFrameCodec } from '../redis/frame-codec.ts'
import { startMailWorker } from '../redis/mail-queue.ts'
import { makeOutbox, type Waiting } from '../redis/outbox.ts'
import { makeWithdrawals, startErasing } from './erasures.ts'
import { startExporting } from './exports.ts'
import { startCheckpoints } from './ledger.ts'
import type { StateGuard } from './rebuild.ts'
import { repeat } from './repeat.ts'
import { startSecurityEvents } from './security-events.ts'
import type { ClickHouse } from '../clickhouse/client.ts'
import type { Parts } from './parts.ts'

const outboxPollMs = 200
const auditEveryMs = 60_000

/** Starts all that works off what waits in Redis; each part is ended by `closers`. */
export function startWriter (parts: Parts, clickhouse: ClickHouse, guard: StateGuard): EventWorker {
  const { logger, closers, catalog, redis, redisForWorker, consents, postOffice, metrics, tracing, tell, now } = parts
  const ledger = makeLedgerTable(clickhouse.client, 5000)
  const accessLog = makeAccessLogTable(clickhouse.client)
  const policies = makePolicyTable(clickhouse.client)
  const eraseWithdrawn = makeWithdrawals(parts)
  const drains = [
    async () => await drainOutbox({ outbox: makeOutbox<LedgerEntry>(redis, 'ledger'), deliver: async waiting => {
      await eraseWithdrawn(waiting.map(({ entry }) => entry))
      await ledger.insert(waiting.map(placeOf))
    }, entriesMax: 1000 }),
    async () => await drainOutbox({ outbox: makeOutbox<Access>(redis, 'access-log'), deliver: async waiting => { await accessLog.insert(waiting.map(({ entry }) => entry)) }, entriesMax: 1000 }),
    async () => await drainOutbox({ outbox: makeOutbox<PolicyEntry>(redis, 'policies'), deliver: async waiting => { await policies.insert(waiting.map(({ id, entry }) => ({ ...entry, at: takenAt(id) }))) }, entriesMax: 1000 })
  ]
  for (const drain of drains) {
    const draining = repeat(async () => await drain() === 0 ? outboxPollMs : 0, error => { tell('outbox-drain-failed', error) }, 1000)
    closers.push(draining.stop)
  }
  startSecurityEvents(parts, clickhouse)
  startCheckpoints(parts, clickhouse)

  startExporting(parts, clickhouse)

  const statistics = makePrivacyStatistics(clickhouse.reader)
  const auditing = repeat(async () => {
    metrics.uneven((await statistics.books({ from: now() - 86_400_000, to: now() }, [])).uneven)
    return auditEveryMs
  }, error => { tell('audit-failed', error) }, auditEveryMs)
  closers.push(auditing.stop)

  const mailRedis = redisForWorker()
  const mailWorker = startMailWorker(mailRedis, { deliver: postOffice.deliver, now, onLetter: metrics.letter, onTrouble: tell })
  closers.push(async () => { await mailWorker.close(); mailRedis.disconnect() })

  const table = countInsertErrors(makeEventTable(clickhouse.client, now), metrics)
  const storeEvents = makeStoreEvents({ catalog, consents: whileSure(consents, guard), table: tracing?.table(table) ?? table, frameCodec: makeFrameCodec(), now })
  const store = tracing?.store(storeEvents) ?? storeEvents
  startErasing(parts, clickhouse, store)
  const writerRedis = redisForWorker()
  const writer = startEventWorker(writerRedis, {
    store,
    isReadable,
    onStored: (stored, batches, durationMs) => {
      metrics.stored(stored, durationMs)
      logger.debug({ stored: stored.stored, failed: stored.failed, batches, ms: Math.round(durationMs) }, 'events.stored')
    },
    onTrouble: tell,
    flushRowsMax: 100_000,
    flushSizeMax: 64 * 1024 * 1024,
    flushWait: { quietMs: 100, busyRows: 1000, busyMs: 500 },
    parkMs: 30_000
  })
  closers.push(async () => { await writer.close(); writerRedis.disconnect() })
  return writer
}

/** Between a new connection to Redis and the look at what it holds nothing is stored. */
function whileSure (consents: ConsentReader, guard: StateGuard): ConsentReader {
  return {
    async readStandings (owners) {
      if (!guard.isSure()) throw new Unavailable('consent')
      return await consents.readStandings(owners)
    }
  }
}

function countInsertErrors (table: EventTable, metrics: Metrics): EventTable {
  const counted = <Parameters extends unknown[]> (insert: (...given: Parameters) => Promise<void>) => async (...given: Parameters): Promise<void> => {
    try {
      await insert(...given)
    } catch (error) {
      metrics.insertFailed(insertErrorKind(error, table.dataFaultOf(error) !== undefined))
      throw error
    }
  }
  return { ...table, insertFrames: counted(table.insertFrames), insertRows: counted(table.insertRows) }
}

/** When an outbox took an entry, by its id: Redis lets none come before another. */
function takenAt (id: string): number {
  return Number.parseInt(id, 10)
}

function placeOf ({ entry, partition, notes }: Waiting<LedgerEntry>): PlacedEntry {
  return { entry, partition, previous: notes['previous'] ?? '', sequence: Number(notes['sequence'] ?? 0) }
}
