/** What every part needs that looks at how accounts are protected. */
import { makeAddressBox } from '../crypto/address-box.ts'
import type { AccountSecurityDeps } from '../flows/account-security.ts'
import { makeSecurityStore } from '../redis/security-store.ts'
import type { Parts } from './parts.ts'

export function makeAccountSecurity ({ redis, box, now, newId }: Parts): AccountSecurityDeps {
  return { security: makeSecurityStore(redis), sealAddress: makeAddressBox(box).seal, now, newId }
}
