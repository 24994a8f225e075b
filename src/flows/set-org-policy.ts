/** An organisation switches purposes off for all its people. */
import type { Catalog } from '../domain/catalog.ts'
import { nextPolicy } from '../domain/consent.ts'
import { findPurposeRefusal, type PurposeRefusal } from './change-settings.ts'
import type { PolicyStore } from './ports.ts'
import { untilWritten } from './until-written.ts'

/** Replaces the organisation's policy, or says why it cannot. */
export type SetOrgPolicy = (orgId: string, policy: Record<string, 'off' | 'none'>) => Promise<PurposeRefusal | undefined>

export interface SetOrgPolicyDeps {
  catalog: Catalog
  policies: PolicyStore
  now: () => number
  newId: () => string
}

export function makeSetOrgPolicy ({ catalog, policies, now, newId }: SetOrgPolicyDeps): SetOrgPolicy {
  return async (orgId, policy) => {
    const refusal = findPurposeRefusal(catalog, Object.keys(policy))
    if (refusal !== undefined) return refusal
    await untilWritten('consent', async () => {
      const before = await policies.readPolicy(orgId)
      const after = nextPolicy(before, policy, now())
      return await policies.replacePolicy(before, { policyId: newId(), orgId, policy: after }) ? after : undefined
    })
    return undefined
  }
}
