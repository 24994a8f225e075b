/** A person takes everything with them that is held about them. No file is kept: it is read for each download. */
import type { Person } from '../domain/caller.ts'
import { ownExportLifetimeMs } from '../domain/export.ts'
import { showHead } from '../domain/ledger-head.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import type { SecurityEvent, SecurityEventPlace } from '../domain/security-event.ts'
import type { PrivacySettings } from './change-settings.ts'
import type { SecurityStatus } from './manage-two-step.ts'
import type { Digest, HeldEvents, LedgerPages, OwnExport, OwnExportStore } from './export-ports.ts'
import type { LedgerProgress, Payment } from './ports.ts'

export interface ExportSubjectDeps {
  exports: OwnExportStore
  progress: LedgerProgress
  ledger: LedgerPages
  settings: (person: Person) => Promise<PrivacySettings>
  security: (person: Person) => Promise<SecurityStatus>
  /** The security log, newest first; waits for what is on its way. */
  securityEvents: (person: Person, limit: number, before: SecurityEventPlace | undefined) => Promise<SecurityEvent[]>
  events: HeldEvents
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
  const accountRef = deps.pseudonym(person.accountId)
  for await (const events of deps.events.stored(accountRef)) yield events.map(event => ({ type: 'event', event }))
  for await (const events of deps.events.setAside(accountRef)) yield events.map(event => ({ type: 'set_aside_event', event }))
}
