/** The law of consent: a no travels, a yes stays, and unknown never means yes. */
import type { Purpose, Scope } from './catalog.ts'
import { own } from './own.ts'

export type ChoiceState = 'granted' | 'denied' | 'cleared'

/** What was last said for one purpose at one scope. Times are epoch milliseconds. */
export interface Choice {
  state: ChoiceState
  /** When this state began. */
  since: number
  /** When the last denial ended; 0 when there was none. */
  deniedUntil: number
  /** The ledger entry that made it. */
  entry: string
  /** The version of the notice that was shown; absent where none was named. */
  notice?: string
}

export type Choices = Readonly<Record<string, Choice>>

/** All that one subject (an account, or a signed-out device) has chosen. A purpose never chosen is absent. */
export interface ConsentRecord {
  revision: number
  /** Hash of the subject's latest ledger entry; empty before the first. */
  head: string
  account: Choices
  devices: Readonly<Record<string, Choices>>
  /** The subject's last erasure, epoch ms; 0 for none. What was captured until then stays out for good. */
  erasedAt: number
}

export const emptyRecord: ConsentRecord = { revision: 0, head: '', account: {}, devices: {}, erasedAt: 0 }

/** What an organisation decided for all its people, by purpose; `offUntil`: when it was last off (epoch ms), 0 for never. */
export type OrgPolicy = Readonly<Record<string, { state: 'off' | 'none', offUntil: number }>>

/** The policy after an organisation states it anew; what it does not name is no longer off. */
export function nextPolicy (before: OrgPolicy, stated: Readonly<Record<string, 'off' | 'none'>>, now: number): OrgPolicy {
  const purposes = new Set([...Object.keys(before), ...Object.keys(stated)])
  return Object.fromEntries([...purposes].map(purpose => {
    const { state, offUntil } = own(before, purpose) ?? { state: 'none', offUntil: 0 }
    const next = own(stated, purpose) ?? 'none'
    return [purpose, { state: next, offUntil: state === 'off' && next === 'none' ? now : offUntil }]
  }))
}

/** Everything besides the event that a decision depends on. */
export interface Standing {
  /** The account's record; undefined when nobody is signed in. */
  account: ConsentRecord | undefined
  deviceId: string | undefined
  /** What was chosen on the device while signed out; undefined when no device is known. */
  deviceAlone: ConsentRecord | undefined
  /** The organisation's policy by purpose; a purpose that is not named is left to the person. */
  orgPolicy: OrgPolicy
  regionalDefault: 'granted' | 'denied'
}

export type DropReason =
  'erased' | 'no_subject' | 'unknown_product' | 'org_denied' | 'account_denied' | 'device_denied' |
  'no_device' | 'captured_before_consent' | 'not_granted'
export type AcceptReason = 'required' | 'account_granted' | 'device_granted' | 'default_granted'

/**
 * What one subject permits for one purpose and release. `since` (epoch ms): what was captured before it is not covered.
 * `erasedAt` (epoch ms): what was captured until then was erased, whatever its purpose.
 */
export type Permission = { erasedAt: number } & (
  { allowed: true, reason: AcceptReason, since: number, entry: string | null } |
  { allowed: false, reason: DropReason }
)

export type Decision =
  { outcome: 'accepted', reason: AcceptReason, entry: string | null } |
  { outcome: 'dropped', reason: DropReason }

/**
 * What a subject permits now for a purpose. `releaseScope` is the scope that governs the release,
 * undefined when the catalogue does not know it. `lapsed`: whether a grant is void because the notice it was given
 * under has been replaced. The safe answers come first.
 */
export function permissionFor (
  purpose: Purpose, standing: Standing, releaseScope: Scope | undefined, lapsed: (choice: Choice) => boolean = () => false
): Permission {
  const { account, deviceId, deviceAlone } = standing
  const erasedAt = Math.max(account?.erasedAt ?? 0, deviceAlone?.erasedAt ?? 0)
  const refuse = (reason: DropReason): Permission => ({ allowed: false, reason, erasedAt })
  if (purpose.required) return { allowed: true, reason: 'required', since: 0, entry: null, erasedAt }
  if (account === undefined && deviceId === undefined) return refuse('no_subject')
  if (releaseScope === undefined) return refuse('unknown_product')
  const orgRule = own(standing.orgPolicy, purpose.id)
  if (orgRule?.state === 'off') return refuse('org_denied')

  const accountChoice = own(account?.account, purpose.id)
  const aloneChoice = deviceId === undefined ? undefined : own(own(deviceAlone?.devices, deviceId), purpose.id)
  const ownDeviceChoice = account === undefined || deviceId === undefined
    ? aloneChoice
    : own(own(account.devices, deviceId), purpose.id)

  if (accountChoice?.state === 'denied') return refuse('account_denied')
  // A denial made while signed out binds everyone on that device; a grant made so counts for signed-out use only.
  if (ownDeviceChoice?.state === 'denied' || aloneChoice?.state === 'denied') return refuse('device_denied')

  const governs = account === undefined ? 'device' : releaseScope
  if (governs === 'device' && deviceId === undefined) return refuse('no_device')

  const governing = governs === 'account' ? accountChoice : ownDeviceChoice
  const denials = [accountChoice, ownDeviceChoice, aloneChoice].map(choice => choice?.deniedUntil ?? 0)
  const denialsEnded = Math.max(orgRule?.offUntil ?? 0, ...denials)
  const openByDefault = standing.regionalDefault === 'granted'
  if (governing?.state === 'granted' && !lapsed(governing)) {
    // Where the default is granted nothing was closed before the grant, so only a denial limits it.
    const since = openByDefault ? denialsEnded : Math.max(governing.since, denialsEnded)
    return { allowed: true, reason: governs === 'account' ? 'account_granted' : 'device_granted', since, entry: governing.entry, erasedAt }
  }
  if (openByDefault) return { allowed: true, reason: 'default_granted', since: denialsEnded, entry: null, erasedAt }
  return refuse('not_granted')
}

/**
 * Whether an event captured at `capturedAt` (epoch ms) is covered by a permission, without a gap since then.
 * `occurredAt`: when its client says that it happened. A batch that is delivered again as it was, its `sent_at` too, seems
 * to be captured anew; so what was erased stays out by either time.
 */
export function decide (permission: Permission, capturedAt: number, occurredAt = capturedAt): Decision {
  if (permission.erasedAt > 0 && Math.min(capturedAt, occurredAt) <= permission.erasedAt) return { outcome: 'dropped', reason: 'erased' }
  if (!permission.allowed) return { outcome: 'dropped', reason: permission.reason }
  if (capturedAt < permission.since) return { outcome: 'dropped', reason: 'captured_before_consent' }
  return { outcome: 'accepted', reason: permission.reason, entry: permission.entry }
}
