/** What verification needs from the store of challenges: every step that a race could bend is one atomic step. */
import type { Method, VerificationPurpose } from '../domain/verification.ts'
import type { TwoStepStatus } from '../domain/verification-gate.ts'

/** A challenge as opened. Times are epoch ms. */
export interface Challenge {
  id: string
  accountId: string
  session: string
  purpose: VerificationPurpose
  methods: readonly Method[]
  /** Digest of the change it is for, when one was named. */
  changeDigest: string | null
  email: string | null
  language: string | null
  securityVersion: number
  expiresAt: number
}

export type ChallengeState = 'open' | 'verified' | 'expired' | 'exhausted'

export interface FoundChallenge {
  challenge: Challenge
  state: ChallengeState
  attemptsRemaining: number
  emailSent: boolean
}

export interface AccountSecurity {
  /** Raised when a factor changes; older tokens and challenges die with it. */
  version: number
  twoStep: TwoStepStatus
  lockedUntil: number | null
}

export type OpenRefusal = { reason: 'too-many-challenges', retryAfterMs: number }
export type SendRefusal = { reason: 'resend-too-soon' | 'email-quota', retryAfterMs: number }

export type Reservation =
  { reserved: true, challenge: Challenge, attemptsRemaining: number, emailCodeMac: string | null } |
  { reserved: false, reason: 'unknown' | 'verified' | 'expired' | 'exhausted' } |
  { reserved: false, reason: 'locked', retryAfterMs: number }

export interface ChallengeStore {
  security: (accountId: string) => Promise<AccountSecurity>
  open: (challenge: Challenge, now: number) => Promise<OpenRefusal | undefined>
  /** An account's challenge; another account's looks like none. */
  find: (accountId: string, id: string, now: number) => Promise<FoundChallenge | undefined>
  cancel: (challenge: Challenge) => Promise<void>
  /** Replaces the challenge's e-mail code, if the limits on sending allow it. */
  recordSend: (challenge: Challenge, codeMac: string, codeExpiresAt: number, now: number) => Promise<SendRefusal | undefined>
  /** Pays for one look at a code, before the look: the attempt counts as failed until `succeed` says otherwise. */
  reserve: (challenge: Challenge, now: number) => Promise<Reservation>
  /** Turns the challenge from open to verified and clears the account's failures. False when another got there first. */
  succeed: (challenge: Challenge, emailCodeMac: string | null) => Promise<boolean>
}
