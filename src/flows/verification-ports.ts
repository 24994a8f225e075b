/** What verification needs from its store: every step that a race could bend is one atomic step. Times are epoch ms. */
import type { Method, VerificationPurpose } from '../domain/verification.ts'
import type { SecurityEvent } from '../domain/security-event.ts'
import type { SpentToken } from './ports.ts'

/** A challenge as opened. */
export interface Challenge {
  id: string
  accountId: string
  /** The service that opened it for the account, at a sign-in; null when the person did. */
  delegate: string | null
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

/** How an account is protected. Secrets are sealed, codes hashed. */
export interface AccountSecurity {
  /** Raised when a factor changes; older tokens and challenges die with it. */
  version: number
  totp: { sealedSecret: string, lastStep: number, enrolledAt: number } | null
  /** Too many wrong codes: the authenticator is not looked at any more, and still counts as on. */
  suspended: boolean
  /** Hashes by slot. */
  backupCodes: { hashes: Readonly<Record<string, string>>, generatedAt: number } | null
  disableAt: number | null
  lockedUntil: number | null
  /** Where letters about the account go, sealed; null until an address is known. */
  mailTo: string | null
}

export interface OpenRefusal { reason: 'too-many-challenges', retryAfterMs: number }
export interface SendRefusal { reason: 'resend-too-soon' | 'email-quota', retryAfterMs: number }

/** `lockedMs`, `suspended`: what follows if this attempt turns out to be wrong. */
export type Reservation =
  { reserved: true, attemptsRemaining: number, emailCodeMac: string | null, lockedMs: number, suspended: boolean } |
  { reserved: false, reason: 'unknown' | 'verified' | 'expired' | 'exhausted' | 'suspended' } |
  { reserved: false, reason: 'locked', retryAfterMs: number }

/** What was found right, and is right only while it is still what the store holds. */
export type Evidence =
  { method: 'email', codeMac: string } |
  { method: 'totp', sealedSecret: string, step: number, resealedSecret: string | null } |
  { method: 'backup_code', slot: string, hash: string }

export interface ChallengeStore {
  /** `mailTo` becomes where letters about the account go. */
  open: (challenge: Challenge, mailTo: string | null, now: number) => Promise<OpenRefusal | undefined>
  find: (id: string, now: number) => Promise<FoundChallenge | undefined>
  cancel: (challenge: Challenge) => Promise<void>
  /** Replaces the challenge's e-mail code, if the limits on sending allow it. */
  recordSend: (challenge: Challenge, codeMac: string, codeExpiresAt: number, now: number) => Promise<SendRefusal | undefined>
  /** Pays for one look at a code, before the look: the attempt counts as failed until `succeed` says otherwise. */
  reserve: (challenge: Challenge, method: Method, now: number) => Promise<Reservation>
  /** Turns the challenge from open to verified, uses up the evidence and clears the failures. False when another got there first. */
  succeed: (challenge: Challenge, evidence: Evidence, events: readonly SecurityEvent[]) => Promise<boolean>
}

/** An authenticator that has been set up but not confirmed. */
export interface Enrolment {
  id: string
  accountId: string
  sealedSecret: string
  /** Whether it is to take the place of one that is on. */
  replaces: boolean
  securityVersion: number
  expiresAt: number
}

export type EnrolmentAttempt =
  { reserved: true, enrolment: Enrolment, attemptsRemaining: number } |
  { reserved: false, reason: 'unknown' | 'confirmed' | 'expired' | 'exhausted' }

/** `conflict`: the account's security is no longer what the step was decided on. */
export type SecurityWrite = 'written' | 'spent' | 'superseded' | 'conflict'

export interface SecurityStore {
  read: (accountId: string) => Promise<AccountSecurity>
  startEnrolment: (enrolment: Enrolment, token: SpentToken) => Promise<SecurityWrite>
  reserveEnrolment: (accountId: string, id: string, now: number) => Promise<EnrolmentAttempt>
  confirmEnrolment: (enrolment: Enrolment, step: number, hashes: Readonly<Record<string, string>>, events: readonly SecurityEvent[], now: number) => Promise<SecurityWrite>
  /** Turns 2-step verification off. `token` pays for it; `disableAt` says that a delay has run out; neither: an admin does it. */
  disable: (accountId: string, by: { token?: SpentToken, disableAt?: number }, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  scheduleDisable: (accountId: string, disableAt: number, token: SpentToken, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  cancelDisable: (accountId: string, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  replaceBackupCodes: (accountId: string, hashes: Readonly<Record<string, string>>, token: SpentToken, events: readonly SecurityEvent[], now: number) => Promise<SecurityWrite>
  /** Clears failures, lock and suspension. */
  unlock: (accountId: string, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  record: (accountId: string, events: readonly SecurityEvent[]) => Promise<void>
  /** Puts a secret sealed anew in the place of the same secret as it was sealed before. */
  reseal: (accountId: string, before: string, after: string) => Promise<SecurityWrite>
}
