/** A person takes everything with them that is held about them. No file is kept: it is read for each download. */
import type { Person } from '../domain/caller.ts'
import { ownExportLifetimeMs } from '../domain/export.ts'
import { showHead } from '../domain/ledger-head.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import type { EventRow } from '../domain/event.ts'
import type { SecurityEvent, SecurityEventPlace } from '../domain/security-event.ts'
import type { PrivacySettings } from './change-settings.ts'
import type { SecurityStatus } from './manage-two-step.ts'
import type { Digest, HeldRecords, LedgerPages, OwnExport, OwnExportStore, HeldBatches } from './export-ports.ts'
import { rowsOf } from './frames.ts'
import { isReadable, type FrameCodec, type LedgerProgress, type Payment, type QueuedBatch } from './ports.ts'

export interface ExportSubjectDeps {
  exports: OwnExportStore
  progress: LedgerProgress
  ledger: LedgerPages
  settings: (person: Person) => Promise<PrivacySettings>
  security: (person: Person) => Promise<SecurityStatus>
  /** The security log, newest first; waits for what is on its way. */
  securityEvents: (person: Person, limit: number, before: SecurityEventPlace | undefined) => Promise<SecurityEvent[]>
  /** Where letters about the account go; null where that cannot be read any more, undefined where none is known. */
  lettersTo: (accountId: string) => Promise<{ to: string, language: string | null } | null | undefined>
  held: HeldRecords
  queued: HeldBatches
  frameCodec: FrameCodec
  pseudonym: (accountId: string) => string
  makeDigest: () => Digest
  now: () => number
  newId: () => string
}

export type StartOutcome = { started: true, ownExport: OwnExport } | { started: false, reason: 'spent' | 'superseded' }

/** What the lines of an export hold. */
export type HeldItem =
  { type: 'settings', settings: PrivacySettings } |
  { type: 'security', security: SecurityStatus } |
  { type: 'ledger_entry', entry: LedgerEntry } |
  { type: 'security_event', event: SecurityEvent } |
  { type: 'letters_to', address: string | null, language: string | null } |
  { type: 'erasure' | 'team_call', record: Record<string, unknown> } |
  { type: 'queued_event', event: Record<string, unknown>, givenUp: boolean } |
  { type: 'unreadable_batch', requestId: string, receivedAt: number } |
  { type: 'event' | 'set_aside_event', event: Record<string, unknown> }

export interface ExportSubject {
  start: (person: Person, payment: Payment) => Promise<StartOutcome>
  /** The person's own only. */
  find: (person: Person, id: string) => Promise<OwnExport | undefined>
  /** The lines of all that is held, in pieces; the last line is the manifest of those before. `show` writes one as JSON. */
  read: (person: Person, show: (item: HeldItem) => object) => AsyncIterable<string>
}

const securityEventsPerPage = 200

export function makeExportSubject (deps: ExportSubjectDeps): ExportSubject {
  return {
    async start (person, { token }) {
      const now = deps.now()
      const ownExport = { id: deps.newId(), createdAt: now, expiresAt: now + ownExportLifetimeMs }
      const outcome = await deps.exports.start(person.accountId, ownExport, token)
      return outcome === 'written' ? { started: true, ownExport } : { started: false, reason: outcome }
    },

    find: async (person, id) => await deps.exports.find(person.accountId, id),

    async * read (person, show) {
      const head = await deps.progress.caughtUp()
      const digest = deps.makeDigest()
      let rows = 0
      for await (const items of itemsOf(deps, person, head)) {
        const piece = items.map(item => `${JSON.stringify(show(item))}\n`).join('')
        digest.update(piece)
        rows += items.length
        yield piece
      }
      yield `${JSON.stringify({ type: 'manifest', rows, sha256: digest.hex(), ledger_head: showHead(head) })}\n`
    }
  }
}

async function * itemsOf (deps: ExportSubjectDeps, person: Person, head: readonly number[]): AsyncGenerator<HeldItem[]> {
  yield [{ type: 'settings', settings: await deps.settings(person) }, { type: 'security', security: await deps.security(person) }]
  const letters = await deps.lettersTo(person.accountId)
  if (letters !== undefined) yield [{ type: 'letters_to', address: letters?.to ?? null, language: letters?.language ?? null }]
  for await (const entries of deps.ledger.pages({ account_id: person.accountId }, head)) {
    yield entries.map(entry => ({ type: 'ledger_entry', entry }))
  }
  let before: SecurityEventPlace | undefined
  while (true) {
    const events = await deps.securityEvents(person, securityEventsPerPage, before)
    if (events.length > 0) yield events.map(event => ({ type: 'security_event', event }))
    const last = events.at(-1)
    if (last === undefined || events.length < securityEventsPerPage) break
    before = { at: last.at, id: last.event_id }
  }
  const erasures = await deps.held.erasures(person.accountId)
  if (erasures.length > 0) yield erasures.map(record => ({ type: 'erasure', record }))
  for await (const calls of deps.held.teamCalls(person.accountId)) yield calls.map(record => ({ type: 'team_call', record }))
  // The queue first: what is stored meanwhile is told twice rather than not at all.
  for await (const batches of deps.queued.of(person.accountId)) {
    const items = batches.flatMap(({ batch, dead }) => queuedItems(deps.frameCodec, batch, dead))
    if (items.length > 0) yield items
  }
  const accountRef = deps.pseudonym(person.accountId)
  for await (const events of deps.held.stored(accountRef)) yield events.map(event => ({ type: 'event', event }))
  for await (const events of deps.held.setAside(accountRef)) yield events.map(event => ({ type: 'set_aside_event', event }))
}

function queuedItems (codec: FrameCodec, batch: QueuedBatch, givenUp: boolean): HeldItem[] {
  const { requestId, receivedAt, body } = batch
  try {
    if (!isReadable(batch)) throw new Error('of another form')
    if (body === '') return []
    const rows = codec.read(batch)
    return rows.frames.flatMap(frame => rowsOf(batch, rows, frame).map(row => ({ type: 'queued_event', givenUp, event: showRow(row) })))
  } catch {
    return [{ type: 'unreadable_batch', requestId, receivedAt }]
  }
}

/** A row of a batch, named as the stored events are. */
function showRow (row: EventRow): Record<string, unknown> {
  const showTime = (ms: number): string => new Date(ms).toISOString()
  return {
    event_id: row.eventId,
    name: row.name,
    version: row.version,
    product: row.product,
    release: row.release,
    product_version: row.productVersion,
    account_ref: row.accountRef,
    device_ref: row.deviceRef,
    purpose: row.purpose,
    reason: row.reason,
    consent_entry: row.consentEntry,
    properties: JSON.parse(row.properties) as unknown,
    batch_id: row.batchId,
    occurred_at: showTime(row.occurredAt),
    captured_at: showTime(row.capturedAt),
    received_at: showTime(row.receivedAt)
  }
}
