/** Secrets sealed by an older key are sealed anew by the current one, so that the older can be taken out of the ring. */
import type { SecurityStore } from './verification-ports.ts'

export interface RotateKeysDeps {
  accounts: AsyncIterable<string>
  security: Pick<SecurityStore, 'read' | 'reseal'>
  /** The secret under the current key, or null when it is already. */
  resealed: (accountId: string, sealed: string) => string | null
  onProgress: (progress: RotateKeysProgress) => void
}

export interface RotateKeysProgress { accounts: number, resealed: number }

/** Goes through all accounts; a secret that changes meanwhile is left to whoever changed it, who used the current key. */
export async function rotateKeys ({ accounts, security, resealed, onProgress }: RotateKeysDeps): Promise<RotateKeysProgress> {
  const progress = { accounts: 0, resealed: 0 }
  for await (const accountId of accounts) {
    progress.accounts++
    const sealed = (await security.read(accountId)).totp?.sealedSecret
    const after = sealed === undefined ? null : resealed(accountId, sealed)
    if (sealed !== undefined && after !== null && await security.reseal(accountId, sealed, after) === 'written') progress.resealed++
    if (progress.accounts % 1000 === 0) onProgress(progress)
  }
  return progress
}
