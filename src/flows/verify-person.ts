/** A person proves who they are; the token they get pays for one change of settings. */
import {
  addressHint, assuranceOf, attemptsPerChallenge, backupCodesLow, challengeLifetimeMs, emailCodeLifetimeMs, isWellFormed,
  normaliseBackupCode, normaliseCode, tokenLifetimeSeconds, type Method, type VerificationClaims, type VerificationPurpose
} from '../domain/verification.ts'
import { acceptedMethods, type GateRefusal } from '../domain/verification-gate.ts'
import { canonicalJson } from '../domain/ledger.ts'
import type { Person } from '../domain/caller.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { mailToOf, makeEvent, readOwnSecurity, readSecurity, tellOfFailures, twoStepStatus, type AccountSecurityDeps } from './account-security.ts'
import type { PrepareProof } from './check-proof.ts'
import type { AccountSecurity, Challenge, ChallengeStore, Ended, Evidence, FoundChallenge, SendLimit, SendRefusal } from './verification-ports.ts'

export interface VerifyPersonDeps extends AccountSecurityDeps {
  challenges: ChallengeStore
  prepareProof: PrepareProof
  /** Puts the code on its way; resolves when it is queued. */
  mailCode: (mail: { to: string, code: string, language: string | null, expiresAt: number }) => Promise<void>
  mintToken: (claims: VerificationClaims) => Promise<string>
  /** Uniform digits, leading zeros kept. */
  newEmailCode: () => string
  codeMac: (challengeId: string, code: string) => string
  digest: (text: string) => string
  newChallengeId: (accountId: string) => string
  emailCodeDigits: number
}

/** Who asks about a challenge: the person it is for, or the service that opened it at their sign-in. */
export interface Asker { accountId: string | undefined, delegate: string | null }

export interface ShownChallenge {
  id: string
  purpose: VerificationPurpose
  methods: Array<{ type: Method, hint?: string, sent?: boolean, remaining?: number }>
  expiresAt: number
  attemptsRemaining: number
}

export type OpenOutcome =
  { opened: true, challenge: ShownChallenge } |
  { opened: false, reason: GateRefusal | 'email-unknown' } |
  { opened: false, reason: 'too-many-challenges' | SendLimit['reason'], retryAfterMs: number }
export type SendOutcome =
  { sent: true, hint: string, sentAt: number, expiresAt: number } |
  { sent: false, reason: 'method-not-accepted' | 'method-too-weak' } |
  ({ sent: false } & SendRefusal)
export type VerifyOutcome =
  { verified: true, token: string, purpose: VerificationPurpose, acr: string, amr: readonly string[], backupCodes?: { remaining: number, low: boolean } } |
  { verified: false, reason: 'malformed-code' | 'method-not-accepted' | 'method-too-weak' | 'suspended' | Ended } |
  { verified: false, reason: 'invalid-code', attemptsRemaining: number } |
  { verified: false, reason: 'locked', retryAfterMs: number }

export interface VerifyPerson {
  /**
   * `delegate`: the service that asks for the person, at a sign-in; null when the person does. It asks in vain for an
   * account that is an organisation's: by its own token, by the account's name, or by what the person's own token last said.
   */
  open: (person: Person, purpose: VerificationPurpose, change: unknown, delegate: string | null) => Promise<OpenOutcome>
  find: (asker: Asker, id: string) => Promise<ShownChallenge | 'expired' | undefined>
  /** False when there is no such challenge. */
  cancel: (asker: Asker, id: string) => Promise<boolean>
  sendEmail: (asker: Asker, id: string) => Promise<SendOutcome>
  verify: (asker: Asker, id: string, method: Method, code: string) => Promise<VerifyOutcome>
}

export function makeVerifyPerson (deps: VerifyPersonDeps): VerifyPerson {
  const { challenges } = deps

  /** A challenge of the asker's own; another's looks like none. One that is older than the account's last change of factor has expired. */
  const findOwn = async ({ accountId, delegate }: Asker, id: string): Promise<FoundChallenge & { security: AccountSecurity } | undefined> => {
    const found = await challenges.find(id, deps.now())
    if (found === undefined) return undefined
    const { challenge } = found
    const own = challenge.delegate === null ? challenge.accountId === accountId : challenge.delegate === delegate
    if (!own) return undefined
    const security = await readSecurity(deps, challenge.accountId)
    const outdated = found.state === 'open' && security.version !== challenge.securityVersion
    return { ...found, state: outdated ? 'expired' : found.state, security }
  }

  const show = ({ challenge, attemptsRemaining, emailSent }: FoundChallenge, security: AccountSecurity): ShownChallenge => {
    const remaining = remainingCodes(security)
    const methods = challenge.methods.flatMap((type): ShownChallenge['methods'] => {
      if (type === 'backup_code') return [{ type, remaining }]
      if (type === 'totp') return [{ type }]
      return challenge.email === null ? [] : [{ type, hint: addressHint(challenge.email), sent: emailSent }]
    })
    return { id: challenge.id, purpose: challenge.purpose, methods, expiresAt: challenge.expiresAt, attemptsRemaining }
  }

  /** Null for no change: a token for a named one pays for nothing else. */
  const digestOf = (change: unknown): string | null => change === undefined ? null : deps.digest(canonicalJson(change))

  /** Where letters go once the challenge is met; a service that asks at a sign-in does not change that. */
  const provedAddress = ({ accountId, delegate, email, language }: Challenge): string | null =>
    delegate === null ? mailToOf(deps, accountId, { email: email ?? undefined, language: language ?? undefined }) : null

  const sendCode = async (challenge: Challenge, to: string): Promise<SendRefusal | { sentAt: number, expiresAt: number }> => {
    const now = deps.now()
    const code = deps.newEmailCode()
    const expiresAt = Math.min(now + emailCodeLifetimeMs, challenge.expiresAt)
    const refusal = await challenges.recordSend(challenge, deps.codeMac(challenge.id, code), expiresAt, now)
    if (refusal !== undefined) return refusal
    await deps.mailCode({ to, code, language: challenge.language, expiresAt })
    return { sentAt: now, expiresAt }
  }

  return {
    async open (person, purpose, change, delegate) {
      const security = delegate === null ? await readOwnSecurity(deps, person) : await readSecurity(deps, person.accountId)
      const accountKind = security.managed ? 'organization' : person.accountKind
      const gate = acceptedMethods(purpose, { accountKind, twoStep: twoStepStatus(security) })
      if (!gate.open) return { opened: false, reason: gate.reason }
      const onlyEmail = gate.methods.every(method => method === 'email')
      if (onlyEmail && person.email === undefined) return { opened: false, reason: 'email-unknown' }
      const now = deps.now()
      const challenge: Challenge = {
        id: deps.newChallengeId(person.accountId),
        accountId: person.accountId,
        delegate,
        session: person.session,
        purpose,
        methods: gate.methods,
        changeDigest: digestOf(change),
        email: person.email ?? null,
        language: person.language ?? null,
        securityVersion: security.version,
        expiresAt: now + challengeLifetimeMs
      }
      const refusal = await challenges.open(challenge, mailToOf(deps, person.accountId, person), now)
      if (refusal !== undefined) return { opened: false, ...refusal }
      if (onlyEmail && person.email !== undefined) {
        const sent = await sendCode(challenge, person.email)
        if ('reason' in sent) {
          await challenges.withdraw(challenge)
          if (!('retryAfterMs' in sent)) throw new Unavailable('verification') // Nobody knows its id yet: it can only have been lost.
          return { opened: false, ...sent }
        }
      }
      return { opened: true, challenge: show({ challenge, state: 'open', attemptsRemaining: attemptsPerChallenge, emailSent: onlyEmail }, security) }
    },

    async find (asker, id) {
      const found = await findOwn(asker, id)
      if (found === undefined) return undefined
      return found.state === 'expired' ? 'expired' : show(found, found.security)
    },

    async cancel (asker, id) {
      const found = await findOwn(asker, id)
      if (found === undefined) return false
      await challenges.cancel(found.challenge)
      return true
    },

    async sendEmail (asker, id) {
      const found = await findOwn(asker, id)
      if (found === undefined) return { sent: false, reason: 'unknown' }
      if (found.state !== 'open') return { sent: false, reason: found.state }
      const { challenge } = found
      if (!challenge.methods.includes('email')) return { sent: false, reason: 'method-too-weak' }
      if (challenge.email === null) return { sent: false, reason: 'method-not-accepted' }
      const sent = await sendCode(challenge, challenge.email)
      if ('reason' in sent) return { sent: false, ...sent }
      return { sent: true, hint: addressHint(challenge.email), ...sent }
    },

    async verify (asker, id, method, typed) {
      const found = await findOwn(asker, id)
      if (found === undefined) return { verified: false, reason: 'unknown' }
      const { challenge, security } = found
      if (!challenge.methods.includes(method)) return { verified: false, reason: method === 'email' ? 'method-too-weak' : 'method-not-accepted' }
      const code = method === 'backup_code' ? normaliseBackupCode(typed) : normaliseCode(typed)
      if (!isWellFormed(method, code, deps.emailCodeDigits)) return { verified: false, reason: 'malformed-code' }

      const checkProof = deps.prepareProof(challenge, security, method)
      // Paid before the code is looked at: however many requests race, no more codes are looked at than were paid for.
      const reservation = await challenges.reserve(challenge, method, deps.now())
      if (!reservation.reserved) return { verified: false, ...reservation }
      const evidence = await checkProof(code, reservation.emailCodeMac)
      const succeeded = evidence === undefined ? undefined : await challenges.succeed(challenge, evidence, provedAddress(challenge), eventsOf(deps, challenge, security, evidence))
      if (succeeded === undefined) {
        if (reservation.toTell) await tellOfFailures(deps, challenge.accountId)
        return { verified: false, reason: 'invalid-code', attemptsRemaining: reservation.attemptsRemaining }
      }

      const { acr, amr } = assuranceOf[method]
      const now = Math.floor(deps.now() / 1000)
      const token = await deps.mintToken({
        sub: challenge.accountId,
        sid: challenge.session,
        purpose: challenge.purpose,
        jti: deps.newId(),
        auth_time: now,
        acr,
        amr,
        security_version: challenge.securityVersion,
        ...(challenge.changeDigest === null ? {} : { change_digest: challenge.changeDigest }),
        exp: now + tokenLifetimeSeconds
      })
      const remaining = succeeded.backupCodesLeft
      return { verified: true, token, purpose: challenge.purpose, acr, amr, ...(method === 'backup_code' ? { backupCodes: { remaining, low: remaining <= backupCodesLow } } : {}) }
    }
  }
}

export function remainingCodes (security: AccountSecurity): number {
  return Object.keys(security.backupCodes?.hashes ?? {}).length
}

/** What a proof tells the person: every backup code, of which the store knows how many are left, and every e-mailed code where an authenticator is on. */
function eventsOf (deps: AccountSecurityDeps, { accountId }: Challenge, security: AccountSecurity, { method }: Evidence): Array<ReturnType<typeof makeEvent>> {
  if (method === 'backup_code') return [makeEvent(deps, accountId, security.mailTo, { kind: 'backup_code_used' })]
  if (method === 'email' && security.totp !== null) return [makeEvent(deps, accountId, security.mailTo, { kind: 'email_used_instead' })]
  return []
}
