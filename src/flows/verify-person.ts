/** A person proves who they are; the token they get pays for one change of settings. */
import { addressHint, assuranceOf, attemptsPerChallenge, challengeLifetimeMs, emailCodeLifetimeMs, normaliseCode, tokenLifetimeSeconds, type Method, type VerificationClaims, type VerificationPurpose } from '../domain/verification.ts'
import { acceptedMethods, type GateRefusal } from '../domain/verification-gate.ts'
import { canonicalJson } from '../domain/ledger.ts'
import type { Person } from '../domain/caller.ts'
import type { Challenge, ChallengeStore, FoundChallenge, SendRefusal } from './challenge-ports.ts'
import type { Payment } from './change-settings.ts'

export interface VerifyPersonDeps {
  challenges: ChallengeStore
  /** Puts the code on its way; resolves when it is queued. */
  mailCode: (mail: { to: string, code: string, language: string | undefined, expiresAt: number }) => Promise<void>
  mintToken: (claims: VerificationClaims) => Promise<string>
  /** The claims of a token that this service signed and that has not expired, else undefined. */
  readToken: (token: string) => Promise<VerificationClaims | undefined>
  /** Uniform digits, leading zeros kept. */
  newEmailCode: () => string
  /** A keyed hash of a code, bound to its challenge. */
  codeMac: (challengeId: string, code: string) => string
  sameMac: (a: string, b: string) => boolean
  digest: (text: string) => string
  emailCodeDigits: number
  now: () => number
  newId: () => string
}

export interface ShownChallenge {
  id: string
  purpose: VerificationPurpose
  methods: Array<{ type: Method, hint?: string, sent?: boolean, remaining?: number }>
  expires_at: number
  attempts_remaining: number
}

export type OpenOutcome =
  { opened: true, challenge: ShownChallenge } |
  { opened: false, reason: GateRefusal | 'email-unknown' } |
  { opened: false, reason: 'too-many-challenges' | SendRefusal['reason'], retryAfterMs: number }

export type SendOutcome =
  { sent: true, hint: string, sentAt: number, expiresAt: number } |
  { sent: false, reason: 'unknown' | 'verified' | 'expired' | 'exhausted' | 'method-not-accepted' } |
  ({ sent: false } & SendRefusal)

export type VerifyOutcome =
  { verified: true, token: string, purpose: VerificationPurpose, acr: string, amr: readonly string[] } |
  { verified: false, reason: 'malformed-code' | 'method-not-accepted' | 'unknown' | 'verified' | 'expired' | 'exhausted' } |
  { verified: false, reason: 'invalid-code', attemptsRemaining: number } |
  { verified: false, reason: 'locked', retryAfterMs: number }

export type TokenOutcome = { paid: true, payment: Payment } | { paid: false, reason: 'verification-required' | 'verification-mismatch' }

export interface VerifyPerson {
  open: (person: Person, purpose: VerificationPurpose, change: unknown) => Promise<OpenOutcome>
  find: (person: Person, id: string) => Promise<ShownChallenge | undefined>
  /** False when there is no such challenge. */
  cancel: (person: Person, id: string) => Promise<boolean>
  sendEmail: (person: Person, id: string) => Promise<SendOutcome>
  verify: (person: Person, id: string, method: Method, code: string) => Promise<VerifyOutcome>
  /** Whether a token pays for a change by this person in this session. It is spent by the write it pays for, not here. */
  checkToken: (person: Person, token: string | undefined, purpose: VerificationPurpose, change: unknown) => Promise<TokenOutcome>
}

export function makeVerifyPerson (deps: VerifyPersonDeps): VerifyPerson {
  const { challenges } = deps

  const findOwn = async (person: Person, id: string): Promise<FoundChallenge | undefined> =>
    await challenges.find(person.accountId, id, deps.now())

  const sendCode = async (challenge: Challenge, to: string): Promise<SendRefusal | { sentAt: number, expiresAt: number }> => {
    const now = deps.now()
    const code = deps.newEmailCode()
    const expiresAt = Math.min(now + emailCodeLifetimeMs, challenge.expiresAt)
    const refusal = await challenges.recordSend(challenge, deps.codeMac(challenge.id, code), expiresAt, now)
    if (refusal !== undefined) return refusal
    await deps.mailCode({ to, code, language: challenge.language ?? undefined, expiresAt })
    return { sentAt: now, expiresAt }
  }

  return {
    async open (person, purpose, change) {
      const security = await challenges.security(person.accountId)
      const gate = acceptedMethods(purpose, { accountKind: person.accountKind, twoStep: security.twoStep })
      if (!gate.open) return { opened: false, reason: gate.reason }
      const onlyEmail = gate.methods.every(method => method === 'email')
      if (onlyEmail && person.email === undefined) return { opened: false, reason: 'email-unknown' }
      const now = deps.now()
      const challenge: Challenge = {
        id: deps.newId(),
        accountId: person.accountId,
        session: person.session,
        purpose,
        methods: gate.methods,
        changeDigest: change === undefined ? null : deps.digest(canonicalJson(change)),
        email: person.email ?? null,
        language: person.language ?? null,
        securityVersion: security.version,
        expiresAt: now + challengeLifetimeMs
      }
      const refusal = await challenges.open(challenge, now)
      if (refusal !== undefined) return { opened: false, ...refusal }
      if (onlyEmail && person.email !== undefined) {
        const sent = await sendCode(challenge, person.email)
        if ('reason' in sent) {
          await challenges.cancel(challenge)
          return { opened: false, ...sent }
        }
      }
      return { opened: true, challenge: showChallenge({ challenge, state: 'open', attemptsRemaining: attemptsPerChallenge, emailSent: onlyEmail }) }
    },

    async find (person, id) {
      const found = await findOwn(person, id)
      return found === undefined ? undefined : showChallenge(found)
    },

    async cancel (person, id) {
      const found = await findOwn(person, id)
      if (found === undefined) return false
      await challenges.cancel(found.challenge)
      return true
    },

    async sendEmail (person, id) {
      const found = await findOwn(person, id)
      if (found === undefined) return { sent: false, reason: 'unknown' }
      if (found.state !== 'open') return { sent: false, reason: found.state }
      const { challenge } = found
      if (!challenge.methods.includes('email') || challenge.email === null) return { sent: false, reason: 'method-not-accepted' }
      const sent = await sendCode(challenge, challenge.email)
      if ('reason' in sent) return { sent: false, ...sent }
      return { sent: true, hint: addressHint(challenge.email), ...sent }
    },

    async verify (person, id, method, typed) {
      const found = await findOwn(person, id)
      if (found === undefined) return { verified: false, reason: 'unknown' }
      if (!found.challenge.methods.includes(method)) return { verified: false, reason: 'method-not-accepted' }
      const code = normaliseCode(typed)
      if (code.length !== deps.emailCodeDigits || !/^[0-9]+$/.test(code)) return { verified: false, reason: 'malformed-code' }
      const reservation = await challenges.reserve(found.challenge, deps.now())
      if (!reservation.reserved) return { verified: false, ...reservation }
      const { challenge, attemptsRemaining, emailCodeMac } = reservation
      const right = emailCodeMac !== null && deps.sameMac(deps.codeMac(challenge.id, code), emailCodeMac)
      if (!right || !await challenges.succeed(challenge, emailCodeMac)) {
        return { verified: false, reason: 'invalid-code', attemptsRemaining }
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
      return { verified: true, token, purpose: challenge.purpose, acr, amr }
    },

    async checkToken (person, token, purpose, change) {
      const claims = token === undefined ? undefined : await deps.readToken(token)
      if (claims === undefined) return { paid: false, reason: 'verification-required' }
      const matches = claims.sub === person.accountId && claims.sid === person.session && claims.purpose === purpose &&
        (claims.change_digest === undefined || claims.change_digest === deps.digest(canonicalJson(change)))
      if (!matches) return { paid: false, reason: 'verification-mismatch' }
      const spent = { jti: claims.jti, expiresInSeconds: tokenLifetimeSeconds, securityVersion: claims.security_version }
      return { paid: true, payment: { token: spent, verifiedBy: methodOf(claims) } }
    }
  }
}

function showChallenge ({ challenge, attemptsRemaining, emailSent }: FoundChallenge): ShownChallenge {
  return {
    id: challenge.id,
    purpose: challenge.purpose,
    methods: challenge.methods.flatMap((type): ShownChallenge['methods'] => {
      if (type !== 'email') return [{ type }]
      return challenge.email === null ? [] : [{ type, hint: addressHint(challenge.email), sent: emailSent }]
    }),
    expires_at: challenge.expiresAt,
    attempts_remaining: attemptsRemaining
  }
}

function methodOf (claims: VerificationClaims): Method {
  if (claims.amr.includes('otp')) return 'totp'
  return claims.amr.includes('recovery') ? 'backup_code' : 'email'
}
