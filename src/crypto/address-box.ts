/** Seals where letters about an account go, each address bound to its account. */
import type { SealedBox } from './sealed-box.ts'

export interface Address { to: string, language: string | null }

export interface AddressBox {
  seal: (accountId: string, address: Address) => string
  /** Throws when its key is not in the ring, or it was altered. */
  open: (accountId: string, sealed: string) => Address
  /** The address under the current key, or null when it is already. Throws as `open` does. */
  resealed: (accountId: string, sealed: string) => string | null
}

/** Of addresses that were sealed before they were bound to accounts. */
const unboundContext = 'address'

export function makeAddressBox (box: SealedBox): AddressBox {
  const contextOf = (accountId: string): string => `address:${accountId}`
  const openText = (accountId: string, sealed: string): string => {
    try {
      return box.open(sealed, contextOf(accountId))
    } catch {
      return box.open(sealed, unboundContext)
    }
  }
  return {
    seal: (accountId, address) => box.seal(JSON.stringify(address), contextOf(accountId)),
    open: (accountId, sealed) => JSON.parse(openText(accountId, sealed)) as Address,
    resealed: (accountId, sealed) => box.isCurrent(sealed) ? null : box.seal(openText(accountId, sealed), contextOf(accountId))
  }
}
