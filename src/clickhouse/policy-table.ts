/** What organisations stated, in ClickHouse: written at least once, stored once per statement. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { OrgPolicy } from '../domain/consent.ts'
import type { StatedPolicy } from '../flows/ledger-ports.ts'
import { insertRows } from './statements.ts'

export interface PolicyTable {
  insert: (stated: readonly StatedPolicy[]) => Promise<void>
}

export function makePolicyTable (client: ClickHouseClient): PolicyTable {
  return {
    insert: async stated => {
      await insertRows(client, 'organization_policies', stated.map(({ policyId, orgId, at, policy }) =>
        ({ policy_id: policyId, org_id: orgId, at, policy: JSON.stringify(policy) })))
    }
  }
}

/** A row of the latest statement of each organisation. */
export interface PolicyRow { latest_id: string, org_id: string, at_ms: number | string, latest_policy: string }

export function statedOf ({ latest_id: policyId, org_id: orgId, at_ms: at, latest_policy: policy }: PolicyRow): StatedPolicy {
  return { policyId, orgId, at: Number(at), policy: JSON.parse(policy) as OrgPolicy }
}
