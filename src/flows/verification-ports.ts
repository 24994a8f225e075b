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
  /** End of a lock that is neither logged nor mailed yet. */
  lockUntold: number | null
  suspensionUntold: boolean
  /** Where letters about the account go, sealed; null until an address is known. */
  mailTo: string | null
  /** Whether the person's own token last said that an organisation manages the account. */
  managed: boolean
}

/** What is kept sealed of an account: the secret of its authenticator, the address that letters go to. */
export type SealedKind = 'authenticator' | 'address'

export interface OpenRefusal { reason: 'too-many-challenges', retryAfterMs: number }
export type Ended = 'unknown' | Exclude<ChallengeState, 'open'>
export interface SendLimit { reason: 'resend-too-soon' | 'email-quota', retryAfterMs: number }
/** `Ended`: the challenge ended while its code was made. */
export type SendRefusal = SendLimit | { reason: Ended }

/** `toTell`: it has led to a lock or a suspension, which is to be told of once the attempt turns out to be wrong. */
export type Reservation =
  { reserved: true, attemptsRemaining: number, emailCodeMac: string | null, toTell: boolean } |
  { reserved: false, reason: Ended | 'suspended' } |
  { reserved: false, reason: 'locked', retryAfterMs: number }

/** What was found right, and is right only while it is still what the store holds. */
export type Evidence =
  { method: 'email', codeMac: string } |
  { method: 'totp', step: number, resealedSecret: string | null } |
  { method: 'backup_code', slot: string, hash: string }

export interface ChallengeStore {
  /** `mailTo` becomes where letters about the account go if that is not known yet. */
  open: (challenge: Challenge, mailTo: string | null, now: number) => Promise<OpenRefusal | undefined>
  find: (id: string, now: number) => Promise<FoundChallenge | undefined>
  cancel: (challenge: Challenge) => Promise<void>
  /** Takes back the opening of a challenge that nobody has seen. */
  withdraw: (challenge: Challenge) => Promise<void>
  /** Replaces the challenge's e-mail code, if it is still open and the limits on sending allow it. */
  recordSend: (challenge: Challenge, codeMac: string, codeExpiresAt: number, now: number) => Promise<SendRefusal | undefined>
  /** Pays for one look at a code, before the look: the attempt counts as failed until `succeed` says otherwise. */
  reserve: (challenge: Challenge, method: Method, now: number) => Promise<Reservation>
  /**
   * Turns the challenge from open to verified, uses up the evidence and clears the failures. `mailTo` becomes where
   * letters about the account go. Undefined when another got there first.
   */
  succeed: (challenge: Challenge, evidence: Evidence, mailTo: string | null, events: readonly SecurityEvent[]) => Promise<{ backupCodesLeft: number } | undefined>
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

/** `conflict`: the account's security is no longer what the step was decided on; `closed`: the enrolment is not open any more. */
export type SecurityWrite = 'written' | 'spent' | 'superseded' | 'conflict' | 'closed'

/** A time at which an account is to be looked at, whoever asks for it or not. */
export interface DueLook { accountId: string, what: 'disable' | 'failures', at: number }

export interface SecurityStore {
  read: (accountId: string) => Promise<AccountSecurity>
  startEnrolment: (enrolment: Enrolment, token: SpentToken) => Promise<SecurityWrite>
  /** Undefined when there is none, or it is not open any more. */
  findEnrolment: (accountId: string, id: string) => Promise<Enrolment | undefined>
  reserveEnrolment: (accountId: string, id: string, now: number) => Promise<EnrolmentAttempt>
  confirmEnrolment: (enrolment: Enrolment, step: number, hashes: Readonly<Record<string, string>>, events: readonly SecurityEvent[], now: number) => Promise<SecurityWrite>
  /** Turns 2-step verification off. `token` pays for it; `disableAt` says that a delay has run out; neither: an admin does it. */
  disable: (accountId: string, by: { token?: SpentToken, disableAt?: number }, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  scheduleDisable: (accountId: string, disableAt: number, token: SpentToken, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  cancelDisable: (accountId: string, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  replaceBackupCodes: (accountId: string, hashes: Readonly<Record<string, string>>, token: SpentToken, events: readonly SecurityEvent[], now: number) => Promise<SecurityWrite>
  /** Clears failures, lock and suspension. */
  unlock: (accountId: string, events: readonly SecurityEvent[]) => Promise<SecurityWrite>
  /** Logs each that is still untold. `until`: the lock's end. */
  tellFailures: (accountId: string, untold: { lock?: { until: number, event: SecurityEvent }, suspension?: SecurityEvent }) => Promise<void>
  /** The looks that are due, the oldest of each partition. */
  due: (now: number) => Promise<DueLook[]>
  /** Takes a look out. */
  looked: (look: DueLook) => Promise<void>
  /** Puts a secret sealed anew in the place of the same secret as it was sealed before. */
  reseal: (accountId: string, kind: SealedKind, before: string, after: string) => Promise<SecurityWrite>
  /** Keeps what `AccountSecurity.managed` says. */
  noteManaged: (accountId: string, managed: boolean) => Promise<void>
}
