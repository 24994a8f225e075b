/** What happened to the protection of accounts: written at least once, stored once per event. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { SecurityEvent, SecurityEventPlace } from '../domain/security-event.ts'
import { Unavailable } from '../domain/unavailable.ts'

export interface SecurityLog {
  insert: (events: readonly SecurityEvent[]) => Promise<void>
  /** An account's events, newest first, from after the place `before` in that order. */
  list: (accountId: string, limit: number, before: SecurityEventPlace | undefined) => Promise<SecurityEvent[]>
}

const columns = `event_id, account_id, kind, toUnixTimestamp64Milli(at) AS at_ms, actor, actor_subject, reason, remaining,
  if(effective_at IS NULL, NULL, toUnixTimestamp64Milli(assumeNotNull(effective_at))) AS effective_ms`

/** Newer than any event. */
const newestPlace: SecurityEventPlace = { at: 7_000_000_000_000, id: '00000000-0000-0000-0000-000000000000' }

type Row = Omit<SecurityEvent, 'at' | 'effective_at' | 'mail_to'> & { at_ms: number | string, effective_ms: number | string | null }

export function makeSecurityLog (client: ClickHouseClient): SecurityLog {
  return {
    async insert (events) {
      // Where a letter went is not kept.
      const values = events.map(({ mail_to: _, ...event }) => event)
      try {
        await client.insert({ table: 'security_events', values, format: 'JSONEachRow' })
      } catch (cause) {
        throw new Unavailable('ClickHouse', { cause })
      }
    },
    async list (accountId, limit, { at, id } = newestPlace) {
      try {
        const answer = await client.query({
          query: `SELECT ${columns} FROM security_events_v WHERE account_id = {account: String} AND (at, event_id) < (fromUnixTimestamp64Milli({at: Int64}, 'UTC'), {id: UUID})
                  ORDER BY at DESC, event_id DESC LIMIT {limit: UInt32}`,
          query_params: { account: accountId, at, id, limit },
          format: 'JSONEachRow'
        })
        return (await answer.json<Row>()).map(({ at_ms: at, effective_ms: effectiveAt, ...event }) => ({
          ...event, at: Number(at), effective_at: effectiveAt === null ? null : Number(effectiveAt), mail_to: null
        }))
      } catch (cause) {
        throw new Unavailable('ClickHouse', { cause })
      }
    }
  }
}
