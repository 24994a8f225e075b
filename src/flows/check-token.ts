/** Whether a change is paid for: by a verification token, or by a fresh sign-in where that may stand for one. */
import { clockSkewMs, type Person } from '../domain/caller.ts'
import { canonicalJson } from '../domain/ledger.ts'
import { freshSignInSeconds, tokenLifetimeSeconds, type Method, type VerificationClaims, type VerificationPurpose } from '../domain/verification.ts'
import { acceptedMethods } from '../domain/verification-gate.ts'
import { readOwnSecurity, twoStepStatus, type AccountSecurityDeps } from './account-security.ts'
import type { Payment } from './ports.ts'

export interface CheckTokenDeps extends AccountSecurityDeps {
  /** The claims of a token that this service signed and that has not expired, else undefined. */
  readToken: (token: string) => Promise<VerificationClaims | undefined>
  digest: (text: string) => string
}

/** The mark of a token that has paid outlives the token, though the clock of Redis may be far ahead. */
const clocksApartSeconds = 86_400

/** `methods`: those that would pay, unless the account cannot pay for it at all. */
export type TokenOutcome =
  { paid: true, payment: Payment } |
  { paid: false, reason: 'verification-required', methods: readonly Method[] | undefined } |
  { paid: false, reason: 'verification-mismatch' }

/** Whether a token pays for a change by this person in this session. It is spent by the write it pays for, not here. */
export type CheckToken = (person: Person, token: string | undefined, purpose: VerificationPurpose, change: unknown) => Promise<TokenOutcome>

export function makeCheckToken (deps: CheckTokenDeps): CheckToken {
  return async (person, token, purpose, change) => {
    const security = await readOwnSecurity(deps, person)
    const gate = acceptedMethods(purpose, { accountKind: person.accountKind, twoStep: twoStepStatus(security) })
    const required = { paid: false, reason: 'verification-required', methods: gate.open ? gate.methods : undefined } as const
    if (token === undefined) return isFreshOrganizationSignIn(person, purpose, deps.now()) ? { paid: true, payment: { verifiedBy: 'none' } } : required
    const claims = await deps.readToken(token)
    if (claims === undefined) return required
    // A token for a named change pays for nothing else.
    const digest = change === undefined ? null : deps.digest(canonicalJson(change))
    const matches = claims.sub === person.accountId && claims.sid === person.session && claims.purpose === purpose &&
      (claims.change_digest === undefined || claims.change_digest === digest)
    if (!matches) return { paid: false, reason: 'verification-mismatch' }
    const spent = { jti: claims.jti, forgetInSeconds: tokenLifetimeSeconds + clocksApartSeconds, securityVersion: claims.security_version }
    return { paid: true, payment: { token: spent, verifiedBy: methodOf(claims) } }
  }
}

const purposesOfFreshSignIn: readonly VerificationPurpose[] = ['privacy.update', 'data.export', 'data.erase']

/**
 * An organisation signs its people in itself: a sign-in of this moment stands for a verification. It may lie in the
 * future by as much as the time of issue of an access token may, since both are told by the issuer's clock.
 */
function isFreshOrganizationSignIn ({ accountKind, authTime }: Person, purpose: VerificationPurpose, now: number): boolean {
  if (accountKind !== 'organization' || authTime === undefined || !purposesOfFreshSignIn.includes(purpose)) return false
  const ageMs = now - authTime * 1000
  return ageMs <= freshSignInSeconds * 1000 && ageMs >= -clockSkewMs
}

function methodOf ({ amr }: VerificationClaims): Method {
  if (amr.includes('otp')) return 'totp'
  return amr.includes('recovery') ? 'backup_code' : 'email'
}
