/** What an account's protection is due happens at its time, also when nobody looks. */
import { readSecurity, tellOfFailures, type AccountSecurityDeps } from './account-security.ts'

/** Carries out the delays that have run out, tells of locks that a process died before telling of, and says how many it looked at. */
export async function settleAccounts (deps: AccountSecurityDeps): Promise<number> {
  const looks = await deps.security.due(deps.now())
  for (const look of looks) {
    await readSecurity(deps, look.accountId)
    if (look.what === 'failures') await tellOfFailures(deps, look.accountId)
    await deps.security.looked(look)
  }
  return looks.length
}
