/** A person turns 2-step verification on and off, replaces it, and keeps backup codes. */
import { backupCodesLow, enrolmentLifetimeMs, isWellFormed, normaliseCode } from '../domain/verification.ts'
import type { Person } from '../domain/caller.ts'
import type { SecurityEvent, SecurityEventPlace } from '../domain/security-event.ts'
import type { TwoStepStatus } from '../domain/verification-gate.ts'
import { mailToOf, makeEvent, readOwnSecurity, readSecurity, twoStepStatus, type AccountSecurityDeps } from './account-security.ts'
import type { Payment, SpentToken } from './ports.ts'
import { remainingCodes } from './verify-person.ts'
import type { AccountSecurity, SecurityWrite } from './verification-ports.ts'

export interface ManageTwoStepDeps extends AccountSecurityDeps {
  totp: {
    newSecret: () => string
    /** What an authenticator app reads: `otpauth://…`. */
    uri: (label: string, secret: string) => string
    matchStep: (secret: string, code: string, now: number) => Promise<number | undefined>
  }
  secretBox: {
    seal: (accountId: string, secret: string) => string
    /** @throws `Unavailable` when it cannot be opened */
    open: (accountId: string, sealed: string) => string
    /** The secret under the current key, or null when it is already. */
    resealed: (accountId: string, sealed: string) => string | null
  }
  backupCodes: {
    /** New codes, and their hashes by slot. */
    make: (accountId: string) => Promise<{ codes: string[], hashes: Record<string, string> }>
  }
  events: { list: (accountId: string, limit: number, before: SecurityEventPlace | undefined) => Promise<SecurityEvent[]> }
  recoveryDelayMs: number
}

export interface SecurityStatus {
  twoStep: { status: TwoStepStatus, enrolledAt: number | null, disableAt: number | null }
  backupCodes: { remaining: number, low: boolean, generatedAt: number } | undefined
  lockedUntil: number | undefined
}

type Unpaid = Exclude<SecurityWrite, 'written'>
export type EnrolOutcome = { started: true, enrolmentId: string, secret: string, uri: string, expiresAt: number } | { started: false, reason: Unpaid }
export type ConfirmOutcome =
  { confirmed: true, backupCodes: string[] } |
  { confirmed: false, reason: 'malformed-code' | 'unknown' | 'already-confirmed' | 'conflict' | 'expired' | 'exhausted' } |
  { confirmed: false, reason: 'invalid-code', attemptsRemaining: number }
export type DisableOutcome = { done: true, effectiveAt: number | undefined } | { done: false, reason: Unpaid }

export interface ManageTwoStep {
  status: (person: Person) => Promise<SecurityStatus>
  startEnrolment: (person: Person, token: SpentToken) => Promise<EnrolOutcome>
  confirm: (person: Person, enrolmentId: string, code: string) => Promise<ConfirmOutcome>
  /** At once, or after the recovery delay when it was an e-mailed code that paid. */
  disable: (person: Person, payment: Payment & { token: SpentToken }) => Promise<DisableOutcome>
  /** False when nothing was pending. */
  cancelDisable: (person: Person) => Promise<boolean>
  regenerate: (person: Person, token: SpentToken) => Promise<{ done: true, codes: string[], generatedAt: number } | { done: false, reason: Unpaid }>
  listEvents: (person: Person, limit: number, before: SecurityEventPlace | undefined) => Promise<SecurityEvent[]>
}

export function makeManageTwoStep (deps: ManageTwoStepDeps): ManageTwoStep {
  // An address that has been proved goes before one that a token names now: whoever took a session over may have changed that.
  const told = (person: Person, security: AccountSecurity, event: Parameters<typeof makeEvent>[3]): SecurityEvent =>
    makeEvent(deps, person.accountId, security.mailTo ?? mailToOf(deps, person.accountId, person), event)

  return {
    async status (person) {
      const security = await readOwnSecurity(deps, person)
      const remaining = remainingCodes(security)
      return {
        twoStep: { status: twoStepStatus(security), enrolledAt: security.totp?.enrolledAt ?? null, disableAt: security.disableAt },
        backupCodes: security.backupCodes === null ? undefined : { remaining, low: remaining <= backupCodesLow, generatedAt: security.backupCodes.generatedAt },
        lockedUntil: security.lockedUntil !== null && security.lockedUntil > deps.now() ? security.lockedUntil : undefined
      }
    },

    async startEnrolment (person, token) {
      const security = await readSecurity(deps, person.accountId)
      const secret = deps.totp.newSecret()
      const expiresAt = deps.now() + enrolmentLifetimeMs
      const enrolment = {
        id: deps.newId(),
        accountId: person.accountId,
        sealedSecret: deps.secretBox.seal(person.accountId, secret),
        replaces: security.totp !== null,
        securityVersion: security.version,
        expiresAt
      }
      const outcome = await deps.security.startEnrolment(enrolment, token)
      if (outcome !== 'written') return { started: false, reason: outcome }
      return { started: true, enrolmentId: enrolment.id, secret, uri: deps.totp.uri(person.email ?? person.accountId, secret), expiresAt }
    },

    async confirm (person, enrolmentId, typed) {
      const code = normaliseCode(typed)
      if (!isWellFormed('totp', code, 0)) return { confirmed: false, reason: 'malformed-code' }
      const found = await deps.security.findEnrolment(person.accountId, enrolmentId)
      if (found !== undefined && (found.accountId !== person.accountId || found.id !== enrolmentId)) return { confirmed: false, reason: 'unknown' }
      // Opened before the attempt is paid for: a ring that lacks the key costs nobody an attempt.
      const secret = found === undefined ? '' : deps.secretBox.open(person.accountId, found.sealedSecret)
      const attempt = await deps.security.reserveEnrolment(person.accountId, enrolmentId, deps.now())
      if (!attempt.reserved) return { confirmed: false, reason: attempt.reason === 'confirmed' ? 'already-confirmed' : attempt.reason }
      const { attemptsRemaining } = attempt
      const step = await deps.totp.matchStep(secret, code, deps.now())
      if (step === undefined) return { confirmed: false, reason: 'invalid-code', attemptsRemaining }
      const { codes, hashes } = await deps.backupCodes.make(person.accountId)
      const security = await readSecurity(deps, person.accountId)
      const { sealedSecret } = attempt.enrolment
      const enrolment = { ...attempt.enrolment, sealedSecret: deps.secretBox.resealed(person.accountId, sealedSecret) ?? sealedSecret }
      const event = told(person, security, { kind: enrolment.replaces ? 'two_step_replaced' : 'two_step_enabled' })
      const outcome = await deps.security.confirmEnrolment(enrolment, step, hashes, [event], deps.now())
      if (outcome === 'written') return { confirmed: true, backupCodes: codes }
      return { confirmed: false, reason: outcome === 'closed' ? 'already-confirmed' : 'conflict' }
    },

    async disable (person, { token, verifiedBy }) {
      const security = await readSecurity(deps, person.accountId)
      if (verifiedBy !== 'email') {
        const outcome = await deps.security.disable(person.accountId, { token }, [told(person, security, { kind: 'two_step_disabled' })])
        return outcome === 'written' ? { done: true, effectiveAt: undefined } : { done: false, reason: outcome }
      }
      const effectiveAt = deps.now() + deps.recoveryDelayMs
      const event = told(person, security, { kind: 'two_step_disable_scheduled', effective_at: effectiveAt })
      const outcome = await deps.security.scheduleDisable(person.accountId, effectiveAt, token, [event])
      return outcome === 'written' ? { done: true, effectiveAt } : { done: false, reason: outcome }
    },

    async cancelDisable (person) {
      const security = await readSecurity(deps, person.accountId)
      if (security.disableAt === null) return false
      await deps.security.cancelDisable(person.accountId, [told(person, security, { kind: 'two_step_disable_cancelled' })])
      return true
    },

    async regenerate (person, token) {
      const security = await readSecurity(deps, person.accountId)
      const generatedAt = deps.now()
      const { codes, hashes } = await deps.backupCodes.make(person.accountId)
      const event = told(person, security, { kind: 'backup_codes_regenerated' })
      const outcome = await deps.security.replaceBackupCodes(person.accountId, hashes, token, [event], generatedAt)
      return outcome === 'written' ? { done: true, codes, generatedAt } : { done: false, reason: outcome }
    },

    listEvents: async (person, limit, before) => await deps.events.list(person.accountId, limit, before)
  }
}

