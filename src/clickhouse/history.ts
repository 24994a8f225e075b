/** What tells the state beside the ledger: erasures and policies, a page at a time. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { Subject } from '../domain/ledger.ts'
import type { History } from '../flows/ledger-ports.ts'
import { statedOf, type PolicyRow } from './policy-table.ts'
import { readRows } from './statements.ts'

const rowsPerPage = 10_000

// An erasure of one purpose, or of one device of an account, leaves no tombstone.
const tombstones = `SELECT if(account_id IS NULL, 'device', 'account') AS kind, ifNull(account_id, ifNull(device_id, '')) AS id,
    max(toUnixTimestamp64Milli(requested_at)) AS erased_ms
  FROM erasures WHERE purpose IS NULL AND (account_id IS NULL OR device_id IS NULL) AND (kind, id) > ({kind: String}, {id: String})
  GROUP BY kind, id ORDER BY kind, id LIMIT ${String(rowsPerPage)}`

// Of two statements of one millisecond the one that switches more off counts. One that cannot be read states nothing.
const policies = `SELECT org_id, toUnixTimestamp64Milli(max(at)) AS at_ms,
    argMax((policy_id, policy), (at, countSubstrings(policy, '"off"'))) AS latest, latest.1 AS latest_id, latest.2 AS latest_policy
  FROM organization_policies WHERE org_id > {org_id: String} AND isValidJSON(policy) AND JSONType(policy) = 'Object' GROUP BY org_id ORDER BY org_id LIMIT ${String(rowsPerPage)}`

interface TombstoneRow { kind: Subject['kind'], id: string, erased_ms: number | string }

/** `reader`: a connection that only reads. */
export function makeHistory (reader: ClickHouseClient): History {
  return {
    async * tombstones () {
      let last: Pick<TombstoneRow, 'kind' | 'id'> | undefined
      for (let found = rowsPerPage; found >= rowsPerPage;) {
        const rows: TombstoneRow[] = await readRows(reader, tombstones, { kind: last?.kind ?? '', id: last?.id ?? '' })
        found = rows.length
        last = rows.at(-1)
        yield rows.map(({ kind, id, erased_ms: erasedMs }) => ({ subject: { kind, id }, erasedAt: Number(erasedMs) }))
      }
    },

    async * policies () {
      let last = ''
      for (let found = rowsPerPage; found >= rowsPerPage;) {
        const rows: PolicyRow[] = await readRows(reader, policies, { org_id: last })
        found = rows.length
        last = rows.at(-1)?.org_id ?? last
        yield rows.map(statedOf)
      }
    }
  }
}
