/** The ledger as the privacy team asks it. Entries may lie in the table twice until they are merged; no answer shows it. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { LedgerQuery } from '../domain/export.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import { subjectKey } from '../domain/ledger.ts'
import type { Clocks, EntryInForce } from '../domain/point-in-time.ts'
import type { LedgerPlace, PrivacyReader } from '../flows/privacy-ports.ts'
import { withinHead } from './ledger-head.ts'
import { entryColumns, entryOf, type EntryRow } from './ledger-rows.ts'
import { bindList } from './long-list.ts'
import { readRows } from './statements.ts'

const accountPrefix = 'a:'

/**
 * Of the entries that `effective` lets through the one with the highest revision. Two that claim one revision, as after
 * a Redis was lost, disagree: the stricter is in force.
 */
const inForce = (effective: string): string => `
  argMaxIf((decision, toUnixTimestamp64Milli(effective_at), toString(entry_id), notice_version), (revision, decision = 'denied', entry_id), ${effective}) AS in_force`

type Choice = [decision: EntryInForce['decision'], effectiveMs: number | string, entryId: string, noticeVersion: string | null]
interface ForceRow { scope: EntryInForce['scope'], device_id: string | null, purpose: string, in_force: Choice }

function entryInForce ({ scope, device_id: deviceId, purpose, in_force: [decision, effectiveAt, entryId, noticeVersion] }: ForceRow): EntryInForce {
  return { scope, deviceId, purpose, decision, effectiveAt: Number(effectiveAt), entryId, noticeVersion }
}

/** The clocks and the head as conditions; a clock that is not set lets everything through. */
function within ({ asOf, knownAt }: Clocks, head: LedgerHead): { effective: string, recorded: string, bounds: Record<string, unknown> } {
  return {
    effective: asOf === undefined ? 'true' : "effective_at <= fromUnixTimestamp64Milli({as_of: Int64}, 'UTC')",
    recorded: `${withinHead}${knownAt === undefined ? '' : " AND recorded_at <= fromUnixTimestamp64Milli({known_at: Int64}, 'UTC')"}`,
    bounds: { head: [...head], ...(asOf === undefined ? {} : { as_of: asOf }), ...(knownAt === undefined ? {} : { known_at: knownAt }) }
  }
}

const conditions: Readonly<Record<keyof LedgerQuery, string>> = {
  account_id: 'subject = {account_id: String}',
  device_id: 'device_id = {device_id: String}',
  purpose: 'purpose = {purpose: String}',
  decision: 'decision = {decision: String}',
  from: "recorded_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')",
  to: "recorded_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')"
}

interface PlacedRow extends EntryRow { subject: string }

export function makePrivacyReader (reader: ClickHouseClient): PrivacyReader {
  return {
    async account (accountId, clocks, head) {
      const { effective, recorded, bounds } = within(clocks, head)
      const rows = await readRows<ForceRow & { known: number | string, last: number | string, last_hash: string }>(reader,
        `SELECT scope, device_id, purpose, countIf(${effective}) AS known, ${inForce(effective)}, max(revision) AS last, argMax(hash, (revision, entry_id)) AS last_hash
         FROM consent_ledger WHERE subject = {subject: String} AND ${recorded} GROUP BY scope, device_id, purpose`,
        { subject: accountPrefix + accountId, ...bounds })
      const last = rows.reduce((latest, { last, last_hash: hash }) => Number(last) > latest.revision ? { revision: Number(last), hash } : latest, { revision: 0, hash: '' })
      return { entries: rows.filter(({ known }) => Number(known) > 0).map(entryInForce), last }
    },

    async accounts (after, limit, clocks, head) {
      const { effective, recorded, bounds } = within(clocks, head)
      const known = await readRows<{ subject: string }>(reader,
        `SELECT DISTINCT subject FROM consent_ledger WHERE subject > {after: String} AND startsWith(subject, '${accountPrefix}') AND ${recorded}
         ORDER BY subject LIMIT {limit: UInt32}`,
        { after: accountPrefix + after, limit, ...bounds })
      const last = known.at(-1)
      if (last === undefined) return []
      const rows = await readRows<ForceRow & { subject: string }>(reader,
        `SELECT subject, scope, device_id, purpose, ${inForce(effective)} FROM consent_ledger
         WHERE subject > {after: String} AND subject <= {last: String} AND ${recorded} AND ${effective} GROUP BY subject, scope, device_id, purpose`,
        { after: accountPrefix + after, last: last.subject, ...bounds })
      const entries = Map.groupBy(rows, row => row.subject)
      return known.map(({ subject }) => ({ accountId: subject.slice(accountPrefix.length), entries: (entries.get(subject) ?? []).map(entryInForce) }))
    },

    async forPurpose (purpose, accountIds, deviceId, clocks, head) {
      const { effective, recorded, bounds } = within(clocks, head)
      const alone = deviceId === undefined ? undefined : subjectKey({ kind: 'device', id: deviceId })
      const subjects = new Set(accountIds.map(id => accountPrefix + id))
      const list = bindList('subjects', 'String', [...subjects, ...(alone === undefined ? [] : [alone])])
      const scopes = deviceId === undefined ? "scope = 'account'" : "(scope = 'account' OR device_id = {device: String})"
      // The short columns first: what they leave is looked up in the long list.
      const rows = await readRows<ForceRow & { subject: string }>(reader,
        `SELECT subject, scope, device_id, purpose, ${inForce('true')} FROM consent_ledger
         PREWHERE purpose = {purpose: String} AND ${scopes} AND subject IN ${list.expression}
         WHERE ${recorded} AND ${effective} GROUP BY subject, scope, device_id, purpose`,
        { purpose, ...list.parameters, ...bounds, ...(deviceId === undefined ? {} : { device: deviceId }) })
      const accounts = new Map<string, EntryInForce[]>()
      const deviceAlone: EntryInForce[] = []
      for (const row of rows) {
        if (row.subject === alone) {
          deviceAlone.push(entryInForce(row))
          continue
        }
        const accountId = row.subject.slice(accountPrefix.length)
        accounts.set(accountId, [...accounts.get(accountId) ?? [], entryInForce(row)])
      }
      return { accounts, deviceAlone }
    },

    async ledger (query, limit, after, head) {
      const found = new Map<string, { entry: ReturnType<typeof entryOf>, place: LedgerPlace }>()
      let place = after
      while (found.size < limit) {
        const { rows, isLast } = await readPage(query, limit, place, head)
        for (const row of rows) {
          const entry = entryOf(row)
          place = { recordedAt: entry.recorded_at, subject: row.subject, revision: entry.revision, entryId: entry.entry_id }
          if (found.size < limit && !found.has(entry.entry_id)) found.set(entry.entry_id, { entry, place })
        }
        if (isLast || rows.length === 0) break
      }
      return [...found.values()]
    }
  }

  /** At most so many rows from after a place, duplicates counted. */
  async function readPage ({ account_id: accountId, ...query }: LedgerQuery, limit: number, after: LedgerPlace | undefined, head: LedgerHead): Promise<{ rows: PlacedRow[], isLast: boolean }> {
    const asked = Object.entries({ ...query, account_id: accountId === undefined ? undefined : accountPrefix + accountId }).filter(([, value]) => value !== undefined)
    const parameters: Record<string, unknown> = { ...Object.fromEntries(asked), head: [...head], limit }
    const where = [withinHead, ...asked.map(([name]) => conditions[name as keyof LedgerQuery])]
    if (after !== undefined) {
      where.push(
        "recorded_at >= fromUnixTimestamp64Milli({after_ms: Int64}, 'UTC')",
        "(recorded_at > fromUnixTimestamp64Milli({after_ms: Int64}, 'UTC') OR (subject, revision, entry_id) > ({after_subject: String}, {after_revision: UInt64}, {after_entry: UUID}))"
      )
      Object.assign(parameters, { after_ms: after.recordedAt, after_subject: after.subject, after_revision: after.revision, after_entry: after.entryId })
    }
    // First from when to when the page is, by the one narrow column; then only the rows in between, with all they hold.
    const times = await readRows<{ ms: number | string }>(reader,
      `SELECT toUnixTimestamp64Milli(recorded_at) AS ms FROM consent_ledger WHERE ${where.join(' AND ')} ORDER BY recorded_at LIMIT {limit: UInt32}`, parameters)
    const [first, last] = [times[0], times.at(-1)]
    if (first === undefined || last === undefined) return { rows: [], isLast: true }
    const rows = await readRows<PlacedRow>(reader,
      `SELECT subject, ${entryColumns} FROM consent_ledger
       PREWHERE recorded_at >= fromUnixTimestamp64Milli({first_ms: Int64}, 'UTC') AND recorded_at <= fromUnixTimestamp64Milli({last_ms: Int64}, 'UTC')
       WHERE ${where.join(' AND ')} ORDER BY recorded_at, subject, revision, entry_id LIMIT {limit: UInt32}`,
      { ...parameters, first_ms: Number(first.ms), last_ms: Number(last.ms) })
    // Rows that lay there twice may have been merged in between, so that fewer come than were counted.
    return { rows, isLast: times.length < limit }
  }
}
