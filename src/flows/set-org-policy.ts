/** An organisation switches purposes off for all its people. */
import type { Catalog } from '../domain/catalog.ts'
import { findPurposeRefusal, type PurposeRefusal } from './change-settings.ts'
import type { PolicyStore } from './ports.ts'

/** Replaces the organisation's policy, or says why it cannot. */
export type SetOrgPolicy = (orgId: string, policy: Record<string, 'off' | 'none'>) => Promise<PurposeRefusal | undefined>

export function makeSetOrgPolicy ({ catalog, policies }: { catalog: Catalog, policies: PolicyStore }): SetOrgPolicy {
  return async (orgId, policy) => {
    const refusal = findPurposeRefusal(catalog, Object.keys(policy))
    if (refusal === undefined) await policies.setOrgPolicy(orgId, policy)
    return refusal
  }
}
