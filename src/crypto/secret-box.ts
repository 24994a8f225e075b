/** Seals the secrets of authenticators, each bound to its account. */
import { Unavailable } from '../domain/unavailable.ts'
import type { SealedBox } from './sealed-box.ts'

export interface SecretBox {
  seal: (accountId: string, secret: string) => string
  /** @throws `Unavailable` when its key is not in the ring, or it was altered: the ring may be mended, so nothing is to be paid for it */
  open: (accountId: string, sealed: string) => string
  /** The secret under the current key, or null when it is already. Throws as `open` does. */
  resealed: (accountId: string, sealed: string) => string | null
}

export function makeSecretBox (box: SealedBox, onUnreadable: () => void = () => {}): SecretBox {
  const contextOf = (accountId: string): string => `totp:${accountId}`
  const orUnavailable = <Opened>(open: () => Opened): Opened => {
    try {
      return open()
    } catch (cause) {
      onUnreadable()
      throw new Unavailable('verification', { cause })
    }
  }
  return {
    seal: (accountId, secret) => box.seal(secret, contextOf(accountId)),
    open: (accountId, sealed) => orUnavailable(() => box.open(sealed, contextOf(accountId))),
    resealed: (accountId, sealed) => orUnavailable(() => box.resealed(sealed, contextOf(accountId)))
  }
}
