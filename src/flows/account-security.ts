/** How an account is protected at this moment, and what is told about changes of that. */
import type { Caller, Person } from '../domain/caller.ts'
import type { SecurityEvent } from '../domain/security-event.ts'
import type { TwoStepStatus } from '../domain/verification-gate.ts'
import type { AccountSecurity, SecurityStore } from './verification-ports.ts'

export interface AccountSecurityDeps {
  security: SecurityStore
  /** Seals where letters about an account go. */
  sealAddress: (accountId: string, address: { to: string, language: string | null }) => string
  now: () => number
  newId: () => string
}

type Told = Pick<SecurityEvent, 'kind'> & Partial<Pick<SecurityEvent, 'actor' | 'actor_subject' | 'reason' | 'remaining' | 'effective_at'>>

/** An account's security. A delay that has run out since the last look takes effect now. */
export async function readSecurity (deps: AccountSecurityDeps, accountId: string): Promise<AccountSecurity> {
  const security = await deps.security.read(accountId)
  const { disableAt, mailTo } = security
  if (disableAt === null || disableAt > deps.now()) return security
  await deps.security.disable(accountId, { disableAt }, [makeEvent(deps, accountId, mailTo, { kind: 'two_step_disabled', actor: 'system' })])
  return await deps.security.read(accountId)
}

/**
 * The security of the account of whoever asks. Whose account it is, their own token says, and that is remembered for
 * a sign-in, at which a service asks and no token of theirs is there yet. The latest token counts, so that who leaves
 * an organisation gets their sign-in back. Only calls that look at security note it: intake would pay for it with
 * every batch.
 */
export async function readOwnSecurity (deps: AccountSecurityDeps, { accountId, accountKind }: Person): Promise<AccountSecurity> {
  const security = await readSecurity(deps, accountId)
  const managed = accountKind === 'organization'
  if (managed === security.managed) return security
  await deps.security.noteManaged(accountId, managed)
  return { ...security, managed }
}

/** Logs and mails, once each, the lock and the suspension that wrong codes have led to, unless a success has lifted them since. */
export async function tellOfFailures (deps: AccountSecurityDeps, accountId: string): Promise<void> {
  const { lockUntold: until, suspensionUntold, mailTo } = await deps.security.read(accountId)
  const eventOf = (told: Omit<Told, 'actor'>): SecurityEvent => makeEvent(deps, accountId, mailTo, { ...told, actor: 'system' })
  if (until === null && !suspensionUntold) return
  await deps.security.tellFailures(accountId, {
    ...(until === null ? {} : { lock: { until, event: eventOf({ kind: 'account_locked', effective_at: until }) } }),
    ...(suspensionUntold ? { suspension: eventOf({ kind: 'authenticator_suspended' }) } : {})
  })
}

export function twoStepStatus (security: AccountSecurity): TwoStepStatus {
  if (security.totp === null) return 'off'
  return security.suspended ? 'suspended' : 'on'
}

/** An event for the person's log, and for a letter when it is known where to. */
export function makeEvent (deps: AccountSecurityDeps, accountId: string, mailTo: string | null, told: Told): SecurityEvent {
  return {
    event_id: deps.newId(), account_id: accountId, at: deps.now(), actor: 'user', actor_subject: null, reason: null, remaining: null, effective_at: null, ...told, mail_to: mailTo
  }
}

/** Where letters to a caller go, sealed; null when the token carries no address. */
export function mailToOf (deps: AccountSecurityDeps, accountId: string, { email, language }: Pick<Caller, 'email' | 'language'>): string | null {
  return email === undefined ? null : deps.sealAddress(accountId, { to: email, language: language ?? null })
}
