/** Whether a code proves who someone is. What is found right is used up by the store, in the step that accepts it. */
import type { Method } from '../domain/verification.ts'
import type { AccountSecurity, Challenge, Evidence } from './verification-ports.ts'

export interface PrepareProofDeps {
  /** A keyed hash of a code, bound to its challenge. */
  codeMac: (challengeId: string, code: string) => string
  sameMac: (a: string, b: string) => boolean
  totp: {
    /** The time step that a code is right for, or undefined. */
    matchStep: (secret: string, code: string, now: number) => Promise<number | undefined>
  }
  secretBox: {
    /** @throws `Unavailable` when it cannot be opened */
    open: (accountId: string, sealed: string) => string
    /** The secret under the current key, or null when it is already. */
    resealed: (accountId: string, sealed: string) => string | null
  }
  backupCodes: { matches: (accountId: string, code: string, hash: string) => Promise<boolean> }
  now: () => number
}

export type CheckProof = (code: string, emailCodeMac: string | null) => Promise<Evidence | undefined>
/** Opens what a code will be held against, before anybody has paid for the look: throws `Unavailable` when that cannot be. */
export type PrepareProof = (challenge: Challenge, security: AccountSecurity, method: Method) => CheckProof

export function makePrepareProof (deps: PrepareProofDeps): PrepareProof {
  return ({ id, accountId }, { totp, backupCodes }, method) => {
    if (method === 'email') {
      return async (code, emailCodeMac) =>
        emailCodeMac !== null && deps.sameMac(deps.codeMac(id, code), emailCodeMac) ? { method, codeMac: emailCodeMac } : undefined
    }
    if (method === 'totp') {
      if (totp === null) return async () => undefined
      const secret = deps.secretBox.open(accountId, totp.sealedSecret)
      const resealedSecret = deps.secretBox.resealed(accountId, totp.sealedSecret)
      return async code => {
        const step = await deps.totp.matchStep(secret, code, deps.now())
        return step === undefined || step <= totp.lastStep ? undefined : { method, step, resealedSecret }
      }
    }
    return async code => {
      const slot = code.slice(0, 1)
      const hash = backupCodes?.hashes[slot]
      return hash !== undefined && await deps.backupCodes.matches(accountId, code, hash) ? { method, slot, hash } : undefined
    }
  }
}
