/** Rows and batches as intake makes them, for tests that stand behind the queue. */
import { randomUUID } from 'node:crypto'
import type { EventRow } from '../../src/domain/event.ts'
import { rowLinesOf } from '../../src/flows/frames.ts'
import type { BatchRows, Frame, QueuedBatch } from '../../src/flows/ports.ts'
import { makeFrameCodec } from '../../src/redis/frame-codec.ts'
import { fromJobData } from '../../src/redis/job-data.ts'
import { readJobs } from '../../src/redis/queued-batches.ts'
import type { RedisClient } from '../../src/redis/servers.ts'

export function makeRow (fields: Partial<EventRow> = {}): EventRow {
  const now = Date.now()
  return {
    eventId: randomUUID(), name: 'license.heartbeat', version: 1, product: 'cad', release: 2026, productVersion: '26.1.0', accountRef: 'a', deviceRef: 'd',
    occurredAt: now, capturedAt: now, receivedAt: now, purpose: 'license_compliance', reason: 'required', consentEntry: null, properties: '{}', batchId: randomUUID(), ...fields
  }
}

export function makeQueuedBatch (fields: Partial<QueuedBatch> = {}): QueuedBatch {
  return {
    schema: 5, requestId: randomUUID(), owner: { accountId: 'ada', deviceId: 'pc-1', orgId: undefined, region: undefined },
    product: 'cad', release: 2026, receivedAt: Date.now(), body: '', counts: [], ...fields
  }
}

/** A frame for each row, so that each may be of a kind of its own. */
export function queueRows (rows: readonly EventRow[]): QueuedBatch {
  return makeQueuedBatch({ body: makeFrameCodec().write(batchRowsOf(rows)), receivedAt: rows[0]!.receivedAt })
}

export function lineOf (row: EventRow): string {
  const rows = batchRowsOf([row])
  return rowLinesOf(makeQueuedBatch({ product: row.product, release: row.release, receivedAt: row.receivedAt }), rows, rows.frames[0]!).join('')
}

export function batchRowsOf (rows: readonly EventRow[]): BatchRows {
  const { productVersion, accountRef, deviceRef, batchId, receivedAt } = rows[0]!
  return {
    productVersion, accountRef, deviceRef, batchId, sentAt: receivedAt,
    frames: rows.map(({ name, version, purpose, reason, consentEntry, capturedAt, eventId, occurredAt, properties }): Frame => ({
      name, version, purpose, reason, consentEntry, fieldPurposes: [], firstCapturedAt: capturedAt,
      eventIds: [eventId], occurredAt: [occurredAt], capturedAt: [capturedAt], properties: [properties]
    }))
  }
}

export interface HeldBatch { jobId: string, dead: boolean, batch: QueuedBatch }

/** All batches that lie in the queue, those given up too. */
export async function heldBatches (redis: RedisClient): Promise<HeldBatch[]> {
  const found: HeldBatch[] = []
  for await (const page of readJobs(redis)) {
    for (const { data, ...job } of page) found.push(...(await fromJobData(data)).map(batch => ({ ...job, batch })))
  }
  return found
}
