/** Seals the secrets of authenticators, each bound to its account. */
import type { SealedBox } from './sealed-box.ts'

export interface SecretBox {
  seal: (accountId: string, secret: string) => string
  open: (accountId: string, sealed: string) => string
  /** The secret under the current key, or null when it is already. */
  resealed: (accountId: string, sealed: string) => string | null
}

export function makeSecretBox (box: SealedBox): SecretBox {
  const contextOf = (accountId: string): string => `totp:${accountId}`
  return {
    seal: (accountId, secret) => box.seal(secret, contextOf(accountId)),
    open: (accountId, sealed) => box.open(sealed, contextOf(accountId)),
    resealed: (accountId, sealed) => box.isCurrent(sealed) ? null : box.seal(box.open(sealed, contextOf(accountId)), contextOf(accountId))
  }
}
