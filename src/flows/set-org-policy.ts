/** An organisation switches purposes off for all its people. */
import type { Catalog } from '../domain/catalog.ts'
import { nextPolicy } from '../domain/consent.ts'
import { findPurposeRefusal, type PurposeRefusal } from './change-settings.ts'
import type { PolicyStore } from './ports.ts'

/** Replaces the organisation's policy, or says why it cannot. */
export type SetOrgPolicy = (orgId: string, policy: Record<string, 'off' | 'none'>) => Promise<PurposeRefusal | undefined>

export function makeSetOrgPolicy ({ catalog, policies, now }: { catalog: Catalog, policies: PolicyStore, now: () => number }): SetOrgPolicy {
  return async (orgId, policy) => {
    const refusal = findPurposeRefusal(catalog, Object.keys(policy))
    if (refusal !== undefined) return refusal
    for (;;) {
      const before = await policies.readPolicy(orgId)
      if (await policies.replacePolicy(orgId, before, nextPolicy(before, policy, now()))) return undefined
    }
  }
}
