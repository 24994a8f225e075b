/** What an administrator does for a person who is locked out. It is logged with who did it, and the person is told. */
import { makeEvent, readSecurity, type AccountSecurityDeps } from './account-security.ts'

/** Who acts, as their token names them, and why. */
export interface Act { by: string, reason: string }

export interface AdministerAccounts {
  /** Turns 2-step verification off; false when there is nothing to turn off. */
  reset: (accountId: string, act: Act) => Promise<boolean>
  /** Lifts locks and suspension. */
  unlock: (accountId: string, act: Act) => Promise<void>
}

export function makeAdministerAccounts (deps: AccountSecurityDeps): AdministerAccounts {
  return {
    async reset (accountId, { by, reason }) {
      const security = await readSecurity(deps, accountId)
      if (security.totp === null) return false
      await deps.security.disable(accountId, {}, [makeEvent(deps, accountId, security.mailTo, { kind: 'two_step_reset', actor: 'admin', actor_subject: by, reason })])
      return true
    },

    async unlock (accountId, { by, reason }) {
      const security = await readSecurity(deps, accountId)
      await deps.security.unlock(accountId, [makeEvent(deps, accountId, security.mailTo, { kind: 'account_unlocked', actor: 'admin', actor_subject: by, reason })])
    }
  }
}
