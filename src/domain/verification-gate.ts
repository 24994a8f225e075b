/** Which proofs each purpose accepts from whom. */
import type { AccountKind } from './caller.ts'
import type { Method, VerificationPurpose } from './verification.ts'

export type TwoStepStatus = 'off' | 'on' | 'suspended'

export interface Situation {
  accountKind: AccountKind
  twoStep: TwoStepStatus
}

export type GateRefusal = 'managed-by-organization' | 'two-step-already-on' | 'two-step-off'

export type GateAnswer = { open: true, methods: readonly Method[] } | { open: false, reason: GateRefusal }

/** What a purpose accepts from a person with 2-step verification on; the strongest first. */
const withTwoStep: Readonly<Record<VerificationPurpose, readonly Method[] | GateRefusal>> = {
  'privacy.update': ['totp', 'email', 'backup_code'],
  'data.export': ['totp', 'backup_code'],
  'data.erase': ['totp', 'backup_code'],
  'two_step.enroll': 'two-step-already-on',
  'two_step.replace': ['totp', 'backup_code'],
  'two_step.disable': ['totp', 'email', 'backup_code'],
  'backup_codes.regenerate': ['totp', 'backup_code'],
  sign_in: ['totp', 'email', 'backup_code']
}

const withoutTwoStep: Readonly<Record<VerificationPurpose, readonly Method[] | GateRefusal>> = {
  'privacy.update': ['email'],
  'data.export': ['email'],
  'data.erase': ['email'],
  'two_step.enroll': ['email'],
  'two_step.replace': 'two-step-off',
  'two_step.disable': 'two-step-off',
  'backup_codes.regenerate': 'two-step-off',
  sign_in: ['email']
}

const withOrganization: Readonly<Record<VerificationPurpose, readonly Method[] | GateRefusal>> = {
  'privacy.update': ['email'],
  'data.export': ['email'],
  'data.erase': ['email'],
  'two_step.enroll': 'managed-by-organization',
  'two_step.replace': 'managed-by-organization',
  'two_step.disable': 'managed-by-organization',
  'backup_codes.regenerate': 'managed-by-organization',
  sign_in: 'managed-by-organization'
}

/** Suspended still counts as on: it never opens the e-mail-only path. */
export function acceptedMethods (purpose: VerificationPurpose, situation: Situation): GateAnswer {
  const table = situation.accountKind === 'organization'
    ? withOrganization
    : situation.twoStep === 'off' ? withoutTwoStep : withTwoStep
  const answer = table[purpose]
  return typeof answer === 'string' ? { open: false, reason: answer } : { open: true, methods: answer }
}
