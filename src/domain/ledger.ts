/** The append-only record of every choice. The current state is a projection of it. */
import { emptyRecord, type Choice, type ChoiceState, type ConsentRecord } from './consent.ts'
import { own } from './own.ts'
import type { Scope } from './catalog.ts'

/** Whose choices a chain of entries tells: an account, or a device while nobody is signed in. */
export type Subject = { kind: 'account', id: string } | { kind: 'device', id: string }

export type VerifiedBy = 'totp' | 'email' | 'backup_code' | 'none'
export type Actor = 'user' | 'device' | 'admin' | 'system'

/** One choice to be made. `deviceId` is set when the scope is `device`. */
export interface Change {
  scope: Scope
  deviceId: string | null
  purpose: string
  decision: ChoiceState
}

/** Who makes a change, how it was proved, and by what. */
export interface ChangeContext {
  actor: Actor
  verifiedBy: VerifiedBy
  via: { product: string, release: number, device_id: string | null } | null
  noticeVersion: string | null
}

/** A ledger entry as stored and shown. Times are epoch milliseconds. */
export interface LedgerEntry {
  entry_id: string
  account_id: string | null
  device_id: string | null
  scope: Scope
  purpose: string
  decision: ChoiceState
  effective_at: number
  recorded_at: number
  actor: Actor
  verified_by: VerifiedBy
  via: ChangeContext['via']
  notice_version: string | null
  revision: number
  prev_hash: string
  hash: string
}

/** A key for the subject that is unique over accounts and devices. */
export function subjectKey (subject: Subject): string {
  return `${subject.kind === 'account' ? 'a' : 'd'}:${subject.id}`
}

/** The subject that an entry belongs to. */
export function subjectOf (entry: Pick<LedgerEntry, 'account_id' | 'device_id'>): Subject {
  if (entry.account_id !== null) return { kind: 'account', id: entry.account_id }
  return { kind: 'device', id: entry.device_id ?? '' }
}

/** JSON with sorted keys and no space, the form that is hashed (after RFC 8785, for the values used here). */
export function canonicalJson (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    members.sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

export interface LedgerTools {
  now: number
  newId: () => string
  /** HMAC of a text under the ledger's key, in hex. */
  seal: (text: string) => string
  /** Whether a grant is void because its notice was replaced: to give it again is then a change. */
  lapsed?: (purpose: string, choice: Choice) => boolean
}

/**
 * Applies changes to a subject's record and writes the entries that tell it, one per change that changes something.
 * Later changes of one call are applied over earlier ones. Effective times rise strictly within a subject,
 * so that a clock which jumps back can only make a grant start later.
 */
export function applyChanges (
  subject: Subject, record: ConsentRecord, changes: readonly Change[], context: ChangeContext, tools: LedgerTools
): { record: ConsentRecord, entries: LedgerEntry[] } {
  const entries: LedgerEntry[] = []
  let next = record
  for (const change of changes) {
    const current = choiceAt(next, change)
    const stands = current === undefined || tools.lapsed?.(change.purpose, current) !== true
    if (stands && (current?.state ?? 'cleared') === change.decision) continue
    const effectiveAt = Math.max(tools.now, lastChangeOf(next) + 1)
    const unsealed = {
      entry_id: tools.newId(),
      account_id: subject.kind === 'account' ? subject.id : null,
      device_id: change.deviceId,
      scope: change.scope,
      purpose: change.purpose,
      decision: change.decision,
      effective_at: effectiveAt,
      recorded_at: tools.now,
      actor: context.actor,
      verified_by: context.verifiedBy,
      via: context.via,
      notice_version: context.noticeVersion,
      revision: next.revision + 1,
      prev_hash: next.head
    }
    const entry = { ...unsealed, hash: tools.seal(canonicalJson(unsealed)) }
    entries.push(entry)
    next = projectEntry(next, entry)
  }
  return { record: next, entries }
}

/** The record after one more entry. Folding a subject's whole chain over `emptyRecord` gives its current state. */
export function projectEntry (record: ConsentRecord, entry: LedgerEntry): ConsentRecord {
  const before = choiceAt(record, { scope: entry.scope, deviceId: entry.device_id, purpose: entry.purpose })
  const deniedUntil = entry.decision !== 'denied' && before?.state === 'denied' ? entry.effective_at : before?.deniedUntil ?? 0
  const choice: Choice = {
    state: entry.decision, since: entry.effective_at, deniedUntil, entry: entry.entry_id, ...(entry.notice_version === null ? {} : { notice: entry.notice_version })
  }
  const head = { revision: entry.revision, head: entry.hash }
  if (entry.scope === 'account') return { ...record, ...head, account: { ...record.account, [entry.purpose]: choice } }
  const deviceId = entry.device_id ?? ''
  const device = { ...own(record.devices, deviceId), [entry.purpose]: choice }
  return { ...record, ...head, devices: { ...record.devices, [deviceId]: device } }
}

/** What each entry changed, in their order: the state of its choice just before it. `before` is the record that they follow. */
export function previousStates (before: ConsentRecord, entries: readonly LedgerEntry[]): Array<ChoiceState | 'absent'> {
  let record = before
  return entries.map(entry => {
    const previous = choiceAt(record, { scope: entry.scope, deviceId: entry.device_id, purpose: entry.purpose })?.state ?? 'absent'
    record = projectEntry(record, entry)
    return previous
  })
}

/** The current state that a subject's chain tells; `entries` in the order of their revisions. */
export function projectLedger (entries: readonly LedgerEntry[]): ConsentRecord {
  return entries.reduce(projectEntry, emptyRecord)
}

function choiceAt (record: ConsentRecord, at: { scope: Scope, deviceId: string | null, purpose: string }): Choice | undefined {
  return own(at.scope === 'account' ? record.account : own(record.devices, at.deviceId ?? ''), at.purpose)
}

function lastChangeOf (record: ConsentRecord): number {
  const choices = [record.account, ...Object.values(record.devices)].flatMap(choices => Object.values(choices))
  return choices.reduce((latest, choice) => Math.max(latest, choice.since), 0)
}
