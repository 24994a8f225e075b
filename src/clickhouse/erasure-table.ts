/** Erasures on record, and the deletion of rows: hidden first, then taken out of the files. */
import type { ClickHouseClient } from '@clickhouse/client'
import { isSignedOutOnly, type Erasure, type ErasureCertificate, type ErasureOrigin } from '../domain/erasure.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { ErasureTable } from '../flows/erasure-ports.ts'
import { insertRows, readRows } from './statements.ts'

export interface ErasureTableOptions {
  /** A keyed pseudonym of an account or a device. */
  pseudonym: (kind: 'account' | 'device', id: string | undefined) => string
  /** The id that an erasure of a subject has whose own part is this UUID. */
  idOf: (erasure: Pick<Erasure, 'accountId' | 'deviceId'>, uuid: string) => string
  /** Epoch ms; of two rows of one erasure the later said stays. */
  now: () => number
}

/**
 * Every table that holds a subject's events, and how it names when they occurred, when and for what they were captured.
 * A row set aside is text in the order of the columns of `events`.
 */
const tables = [
  { table: 'events', occurred: 'toUnixTimestamp64Milli(occurred_at)', captured: 'toUnixTimestamp64Milli(captured_at)', purpose: 'purpose' },
  { table: 'failed_events', occurred: 'JSONExtractInt(row, 9)', captured: 'JSONExtractInt(row, 10)', purpose: 'JSONExtractString(row, 12)' }
] as const

interface ErasureRow {
  erasure_id: string
  account_id: string | null
  device_id: string | null
  purpose: string | null
  requested_at_ms: number | string
  requested_by: ErasureOrigin
  reason: string
  certificate: string | null
}

const columns = 'erasure_id, account_id, device_id, purpose, toUnixTimestamp64Milli(requested_at) AS requested_at_ms, requested_by, reason, certificate'

export function makeErasureTable (client: ClickHouseClient, { pseudonym, idOf, now }: ErasureTableOptions): ErasureTable {
  const command = async (query: string, parameters: Record<string, unknown> = {}): Promise<void> => {
    try {
      await client.command({ query, query_params: parameters })
    } catch (cause) {
      throw new Unavailable('ClickHouse', { cause })
    }
  }

  /** The rows of an erasure in a table, as a condition and the values bound in it. */
  const rowsOf = (erasure: Erasure, { occurred, captured, purpose }: typeof tables[number]): { where: string, values: Record<string, unknown> } => {
    const { accountId, deviceId, until } = erasure
    const where = [
      ...(accountId === null ? [] : ['account_ref = {account: String}']),
      ...(deviceId === null ? [] : ['device_ref = {device: String}']),
      ...(isSignedOutOnly(erasure) ? ["account_ref = ''"] : []),
      // What is kept out by its tombstone is deleted by the same times; after a withdrawal a new yes may let in what occurred before.
      ...(erasure.purpose === null ? [`least(${occurred}, ${captured}) <= {until: Int64}`] : [`${purpose} = {purpose: String}`, `${captured} <= {until: Int64}`])
    ].join(' AND ')
    return {
      where,
      values: { account: pseudonym('account', accountId ?? undefined), device: pseudonym('device', deviceId ?? undefined), purpose: erasure.purpose ?? '', until }
    }
  }

  const erasureOf = (row: ErasureRow): Erasure => {
    const subject = { accountId: row.account_id, deviceId: row.device_id }
    return {
      id: idOf(subject, row.erasure_id), ...subject, purpose: row.purpose, requestedBy: row.requested_by, reason: row.reason, until: Number(row.requested_at_ms)
    }
  }

  return {
    async say ({ id, accountId, deviceId, purpose, requestedBy, reason, until }, certificate) {
      await insertRows(client, 'erasures', [{
        erasure_id: uuidOf(id),
        account_id: accountId,
        device_id: deviceId,
        purpose,
        requested_at: until,
        requested_by: requestedBy,
        reason,
        certificate: certificate === undefined ? null : JSON.stringify(certificate),
        // A certificate is never taken back by a repeated first word.
        said_at: certificate === undefined ? 0 : now()
      }])
    },

    async find (id) {
      const uuid = uuidOf(id)
      if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return undefined
      const [row] = await readRows<ErasureRow>(client, `SELECT ${columns} FROM erasures FINAL WHERE erasure_id = {uuid: UUID}`, { uuid })
      if (row === undefined) return undefined
      const erasure = erasureOf(row)
      if (erasure.id !== id) return undefined
      return { erasure, certificate: row.certificate === null ? undefined : JSON.parse(row.certificate) as ErasureCertificate }
    },

    unfinished: async () => (await readRows<ErasureRow>(client, `SELECT ${columns} FROM erasures FINAL WHERE certificate IS NULL`)).map(erasureOf),

    async count (erasure, which) {
      const counts: Record<string, number> = {}
      for (const table of tables) {
        const { where, values } = rowsOf(erasure, table)
        // On the query itself: of the embedded engine a setting of the connection would stay for all others.
        const masked = which === 'all' ? 'SETTINGS apply_deleted_mask = 0' : ''
        const [row] = await readRows<{ n: number | string }>(client, `SELECT count() AS n FROM ${table.table} WHERE ${where} ${masked}`, values)
        counts[table.table] = Number(row?.n ?? 0)
      }
      return counts
    },

    async hide (erasure) {
      for (const table of tables) {
        const { where, values } = rowsOf(erasure, table)
        await command(`DELETE FROM ${table.table} WHERE ${where}`, values)
      }
    },

    async purge () {
      for (const { table } of tables) {
        const [running] = await readRows<{ n: number | string }>(client,
          'SELECT count() AS n FROM system.mutations WHERE database = currentDatabase() AND table = {table: String} AND NOT is_done', { table })
        // Not waited for: on the embedded engine nothing could be stored meanwhile. Hidden rows are beyond the reach of DELETE; this takes them out.
        if (Number(running?.n ?? 0) === 0) await command(`ALTER TABLE ${table} APPLY DELETED MASK SETTINGS mutations_sync = 0`)
      }
    },

    async droppedOf (requestIds, purpose) {
      if (requestIds.length === 0) return 0
      const [row] = await readRows<{ n: number | string }>(client,
        `SELECT sum(count) AS n FROM consent_decisions_v
         WHERE stage = 'write' AND outcome = 'dropped' AND request_id IN {ids: Array(UUID)} ${purpose === null ? '' : 'AND purpose = {purpose: String}'}`,
        { ids: requestIds, purpose: purpose ?? '' })
      return Number(row?.n ?? 0)
    }
  }
}

/** The part of an erasure's id that is its own. */
function uuidOf (id: string): string {
  return id.slice(2)
}
