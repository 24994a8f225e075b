/** The numbers and rules of verification: what gates a change of settings. */

export const verificationPurposes = [
  'privacy.update', 'data.export', 'data.erase', 'two_step.enroll', 'two_step.replace', 'two_step.disable',
  'backup_codes.regenerate', 'sign_in'
] as const
export type VerificationPurpose = typeof verificationPurposes[number]

export type Method = 'totp' | 'email' | 'backup_code'

export const challengeLifetimeMs = 15 * 60_000
export const emailCodeLifetimeMs = 10 * 60_000
export const attemptsPerChallenge = 5
export const openChallengesMax = 10
export const challengesPerHourMax = 30
export const tokenLifetimeSeconds = 300
export const enrolmentLifetimeMs = 15 * 60_000
export const attemptsPerEnrolment = 5
/** Consecutive wrong codes of the authenticator after which it is suspended (NIST SP 800-63B-4, 3.2.2). */
export const authenticatorFailuresMax = 100
export const backupCodesLow = 3
/** How fresh a sign-in at the issuer must be to stand for a verification, where it may, in seconds. */
export const freshSignInSeconds = 300

/** Assurance of each method, as the verification token states it (RFC 9068 `acr`, RFC 8176 `amr`). */
export const assuranceOf: Readonly<Record<Method, { acr: string, amr: readonly string[] }>> = {
  totp: { acr: 'urn:assent:acr:2sv', amr: ['otp'] },
  backup_code: { acr: 'urn:assent:acr:2sv', amr: ['recovery'] },
  email: { acr: 'urn:assent:acr:email', amr: ['mca', 'email'] }
}

/**
 * How long an account is locked after its n-th consecutive failure, in ms; 0 for no lock
 * (NIST SP 800-63B-4, 3.2.2: throttling by growing delays).
 */
export function lockAfter (consecutiveFailures: number): number {
  if (consecutiveFailures === 0 || consecutiveFailures % 5 !== 0) return 0
  return [30_000, 120_000, 480_000, 1_920_000][consecutiveFailures / 5 - 1] ?? 3_600_000
}

/** What a verification token says. Times are epoch seconds. */
export interface VerificationClaims {
  sub: string
  sid: string
  purpose: VerificationPurpose
  jti: string
  auth_time: number
  acr: string
  amr: readonly string[]
  security_version: number
  /** Digest of the change that the challenge named, when it named one. */
  change_digest?: string
  exp: number
}

/**
 * Brings a typed code to its plain form: compatibility forms folded (full-width digits), spaces and hyphens taken out.
 */
export function normaliseCode (typed: string): string {
  return typed.normalize('NFKC').replace(/[\s\p{Pd}]/gu, '')
}

/** Crockford's base32: no I, L, O, U. Each backup code starts with the symbol of its slot. */
export const backupCodeSymbols = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
export const backupCodeCount = 10
export const backupCodeLength = 16

/** The plain form of a typed backup code, letters that are taken for digits read as those. No other letter becomes one of its symbols. */
export function normaliseBackupCode (typed: string): string {
  return normaliseCode(typed).replace(/[a-z]/g, letter => letter.toUpperCase()).replaceAll('O', '0').replace(/[IL]/g, '1')
}

/** Whether a plain code has the form of a code of its method; one that has not costs no attempt. */
export function isWellFormed (method: Method, code: string, emailCodeDigits: number): boolean {
  if (method === 'backup_code') return code.length === backupCodeLength && Array.from(code).every(symbol => backupCodeSymbols.includes(symbol))
  return code.length === (method === 'totp' ? 6 : emailCodeDigits) && /^[0-9]+$/.test(code)
}

/** What can be shown of an address without giving it away: the first letter and the domain. */
export function addressHint (address: string): string {
  const at = address.lastIndexOf('@')
  return `${String.fromCodePoint(address.codePointAt(0) ?? 0x2a)}***${address.slice(at)}`
}

const addressLengthMax = 320
const atom = "[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+"
const label = '[\\p{L}\\p{N}](?:[\\p{L}\\p{M}\\p{N}-]{0,62})'
const addressPattern = new RegExp(`^${atom}(?:\\.${atom})*@(?:${label}\\.)+${label}$`, 'u')

/** Whether a text is one address that a letter can go to: no name, no list, no quotes (RFC 5321 and, for its letters, RFC 6531). */
export function isAddress (text: string): boolean {
  return text.length <= addressLengthMax && addressPattern.test(text)
}
