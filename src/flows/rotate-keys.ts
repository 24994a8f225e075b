/** What was sealed by an older key is sealed anew by the current one, so that the older can be taken out of the ring. */
import type { SealedKind, SecurityStore } from './verification-ports.ts'

export interface RotateKeysDeps {
  accounts: AsyncIterable<string>
  security: Pick<SecurityStore, 'read' | 'reseal'>
  /** What is sealed under the current key, or null when it is already; throws when it cannot be opened. */
  resealed: Readonly<Record<SealedKind, (accountId: string, sealed: string) => string | null>>
  onProgress: (progress: RotateKeysProgress) => void
}

/** `unreadable`: its key is not in the ring, or it was altered; it is left as it is. */
export interface RotateKeysProgress { accounts: number, resealed: number, unreadable: number }

const accountsPerReport = 1000

/** Goes through all accounts; what changes meanwhile is left to whoever changed it, who used the current key. */
export async function rotateKeys ({ accounts, security, resealed, onProgress }: RotateKeysDeps): Promise<RotateKeysProgress> {
  const progress = { accounts: 0, resealed: 0, unreadable: 0 }
  for await (const accountId of accounts) {
    const { totp, mailTo } = await security.read(accountId)
    const held = [['authenticator', totp?.sealedSecret ?? null], ['address', mailTo]] as const
    for (const [kind, before] of held) {
      if (before === null) continue
      const after = orUnreadable(() => resealed[kind](accountId, before))
      if (after === undefined) progress.unreadable++
      else if (after !== null && await security.reseal(accountId, kind, before, after) === 'written') progress.resealed++
    }
    if (++progress.accounts % accountsPerReport === 0) onProgress(progress)
  }
  return progress
}

/** Undefined for what cannot be opened: the others are to be sealed anew all the same. */
function orUnreadable (reseal: () => string | null): string | null | undefined {
  try {
    return reseal()
  } catch {
    return undefined
  }
}
