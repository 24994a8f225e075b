/** How an account is protected at this moment, and what is told about changes of that. */
import type { Caller } from '../domain/caller.ts'
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

type Told = Pick<SecurityEvent, 'kind'> & Partial<Pick<SecurityEvent, 'actor' | 'reason' | 'remaining' | 'effective_at'>>

/** An account's security. A delay that has run out since the last look takes effect now. */
export async function readSecurity (deps: AccountSecurityDeps, accountId: string): Promise<AccountSecurity> {
  const security = await deps.security.read(accountId)
  const { disableAt, mailTo } = security
  if (disableAt === null || disableAt > deps.now()) return security
  await deps.security.disable(accountId, { disableAt }, [makeEvent(deps, accountId, mailTo, { kind: 'two_step_disabled', actor: 'system' })])
  return await deps.security.read(accountId)
}

export function twoStepStatus (security: AccountSecurity): TwoStepStatus {
  if (security.totp === null) return 'off'
  return security.suspended ? 'suspended' : 'on'
}

/** An event for the person's log, and for a letter when it is known where to. */
export function makeEvent (deps: AccountSecurityDeps, accountId: string, mailTo: string | null, told: Told): SecurityEvent {
  return {
    event_id: deps.newId(), account_id: accountId, at: deps.now(), actor: 'user', reason: null, remaining: null, effective_at: null, ...told, mail_to: mailTo
  }
}

/** Where letters to a caller go, sealed; null when the token carries no address. */
export function mailToOf (deps: AccountSecurityDeps, accountId: string, { email, language }: Pick<Caller, 'email' | 'language'>): string | null {
  return email === undefined ? null : deps.sealAddress(accountId, { to: email, language: language ?? null })
}
