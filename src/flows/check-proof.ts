/** Whether a code proves who someone is. What is found right is used up by the store, in the step that accepts it. */
import type { Method } from '../domain/verification.ts'
import type { AccountSecurity, Challenge, Evidence } from './verification-ports.ts'

export interface CheckProofDeps {
  /** A keyed hash of a code, bound to its challenge. */
  codeMac: (challengeId: string, code: string) => string
  sameMac: (a: string, b: string) => boolean
  totp: {
    /** The time step that a code is right for, or undefined. */
    matchStep: (secret: string, code: string, now: number) => Promise<number | undefined>
  }
  secretBox: {
    open: (accountId: string, sealed: string) => string
    /** The secret under the current key, or null when it is already. */
    resealed: (accountId: string, sealed: string) => string | null
  }
  backupCodes: { matches: (accountId: string, code: string, hash: string) => Promise<boolean> }
  now: () => number
}

export type CheckProof = (challenge: Challenge, security: AccountSecurity, method: Method, code: string, emailCodeMac: string | null) => Promise<Evidence | undefined>

export function makeCheckProof (deps: CheckProofDeps): CheckProof {
  return async ({ id, accountId }, security, method, code, emailCodeMac) => {
    if (method === 'email') {
      return emailCodeMac !== null && deps.sameMac(deps.codeMac(id, code), emailCodeMac) ? { method, codeMac: emailCodeMac } : undefined
    }
    if (method === 'totp') {
      if (security.totp === null) return undefined
      const { sealedSecret, lastStep } = security.totp
      const step = await deps.totp.matchStep(deps.secretBox.open(accountId, sealedSecret), code, deps.now())
      if (step === undefined || step <= lastStep) return undefined
      return { method, sealedSecret, step, resealedSecret: deps.secretBox.resealed(accountId, sealedSecret) }
    }
    const slot = code.slice(0, 1)
    const hash = security.backupCodes?.hashes[slot]
    if (hash === undefined) return undefined
    return await deps.backupCodes.matches(accountId, code, hash) ? { method, slot, hash } : undefined
  }
}
