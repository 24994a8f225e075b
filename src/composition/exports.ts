/** Puts together what gives things out to keep: exports and receipts. */
import type { FastifyPluginAsync } from 'fastify'
import type { ClickHouse } from '../clickhouse/client.ts'
import { makeLedgerPages } from '../clickhouse/ledger-export.ts'
import { makeHeldRecords } from '../clickhouse/subject-export.ts'
import { makeAddressBox } from '../crypto/address-box.ts'
import { makeDocumentSigner } from '../crypto/document-signer.ts'
import { makeDigest, makePseudonym } from '../crypto/keyed-hash.ts'
import { makeCsv } from '../files/csv.ts'
import { makeNdjson } from '../files/ndjson.ts'
import { makeParquet } from '../files/parquet.ts'
import type { ChangeSettings } from '../flows/change-settings.ts'
import { makeComputeExports, makeExportLedger } from '../flows/export-ledger.ts'
import { makeExportSubject } from '../flows/export-subject.ts'
import { makeIssueReceipt, type IssueReceipt } from '../flows/issue-receipt.ts'
import type { ManageTwoStep } from '../flows/manage-two-step.ts'
import type { CheckToken } from '../flows/check-token.ts'
import { exportRoutes } from '../http/routes/exports.ts'
import { ownExportRoutes } from '../http/routes/my-export.ts'
import { ownReceiptRoutes, receiptRoutes } from '../http/routes/receipts.ts'
import { erasureIdFor } from '../redis/erasure-store.ts'
import { makeExportStore, makeOwnExportStore } from '../redis/export-store.ts'
import { makeFrameCodec } from '../redis/frame-codec.ts'
import { makeLedgerProgress } from '../redis/ledger-progress.ts'
import { makeHeldBatches } from '../redis/queued-batches.ts'
import { makeSecurityStore } from '../redis/security-store.ts'
import type { Parts } from './parts.ts'
import { repeat } from './repeat.ts'

const waitMs = 5000
const pollMs = 200
/** What is in memory at once: some MB of entries; of events, which may have 64 KiB each, some tens. */
const pageRows = { ledger: 10_000, events: 500 }
const files = { ndjson: makeNdjson, csv: makeCsv, parquet: makeParquet }

/** What the privacy team takes with it. */
export function makeTeamExportRoutes (parts: Parts, clickhouse: ClickHouse): FastifyPluginAsync[] {
  const exportLedger = makeExportLedger({
    progress: makeLedgerProgress(parts.redis, waitMs),
    exports: makeExportStore(parts.redis),
    ledger: makeLedgerPages(clickhouse.reader, pageRows.ledger),
    files,
    makeDigest,
    now: parts.now,
    newId: parts.newId
  })
  return [exportRoutes({ exportLedger }), receiptRoutes({ issueReceipt: makeReceipts(parts, clickhouse) })]
}

/** What people take with them. */
export function makeOwnExportRoutes (
  parts: Parts, clickhouse: ClickHouse, flows: { changeSettings: ChangeSettings, manageTwoStep: ManageTwoStep, checkToken: CheckToken }
): FastifyPluginAsync[] {
  const { redis, secrets, box, now, newId } = parts
  const security = makeSecurityStore(redis)
  const addresses = makeAddressBox(box)
  const pseudonym = makePseudonym(secrets.pseudonymKey)
  const exportSubject = makeExportSubject({
    exports: makeOwnExportStore(redis),
    progress: makeLedgerProgress(redis, waitMs),
    ledger: makeLedgerPages(clickhouse.reader, pageRows.ledger),
    settings: flows.changeSettings.read,
    security: flows.manageTwoStep.status,
    securityEvents: flows.manageTwoStep.listEvents,
    lettersTo: async accountId => {
      const { mailTo } = await security.read(accountId)
      if (mailTo === null) return undefined
      try {
        return addresses.open(accountId, mailTo)
      } catch {
        return null // Sealed under a key that is gone.
      }
    },
    held: makeHeldRecords(clickhouse.reader, pageRows.events, (accountId, uuid) => erasureIdFor({ kind: 'account', id: accountId }, uuid)),
    queued: makeHeldBatches(redis),
    frameCodec: makeFrameCodec(),
    pseudonym: accountId => pseudonym('account', accountId),
    makeDigest,
    now,
    newId
  })
  return [ownExportRoutes({ exportSubject, checkToken: flows.checkToken }), ownReceiptRoutes({ issueReceipt: makeReceipts(parts, clickhouse) })]
}

/** Starts computing the exports that wait; ended by `closers`, between two pages. */
export function startExporting ({ redis, closers, tell, now }: Parts, clickhouse: ClickHouse): void {
  const computeExports = makeComputeExports({
    exports: makeExportStore(redis), ledger: makeLedgerPages(clickhouse.reader, pageRows.ledger), files, makeDigest, now
  })
  const stopping = new AbortController()
  const exporting = repeat(async () => await computeExports(stopping.signal) === 0 ? pollMs : 0, error => { tell('export-failed', error) }, 1000)
  closers.push(async () => {
    stopping.abort()
    await exporting.stop()
  })
}

function makeReceipts ({ config, catalog, privacyContact, redis, secrets, now, newId }: Parts, clickhouse: ClickHouse): IssueReceipt {
  const signer = makeDocumentSigner(secrets.verificationKeys)
  return makeIssueReceipt({
    catalog,
    controller: { name: config.CONTROLLER_NAME ?? null, contact: privacyContact },
    ledger: makeLedgerPages(clickhouse.reader, pageRows.ledger),
    progress: makeLedgerProgress(redis, waitMs),
    sign: async (document, type) => await (await signer)(document, type),
    now,
    newId
  })
}
