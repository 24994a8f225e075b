/** Erasures on record, and the deletion of rows: hidden first, then taken out of the files. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { Erasure, ErasureCertificate, ErasureOrigin } from '../domain/erasure.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { ErasureTable, RowCounts } from '../flows/erasure-ports.ts'
import { groupErasures, heldTables, type ErasureGroup } from './erased-rows.ts'
import { bindList } from './long-list.ts'
import { insertRows, readRows } from './statements.ts'

export interface ErasureTableOptions {
  /** A keyed pseudonym of an account or a device. */
  pseudonym: (kind: 'account' | 'device', id: string | undefined) => string
  /** The id that an erasure of a subject has whose own part is this UUID. */
  idOf: (erasure: Pick<Erasure, 'accountId' | 'deviceId'>, uuid: string) => string
  /** Epoch ms; of two rows of one erasure the later said stays. */
  now: () => number
}

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

  const countGroup = async (group: ErasureGroup, { table, ...names }: typeof heldTables[number], masked: string): Promise<Map<string, number>> => {
    const { where, key, parameters } = group.rowsIn(names)
    // On the query itself: of the embedded engine a setting of the connection would stay for all others.
    const rows = await readRows<{ owner: string, n: number | string }>(client, `SELECT ${key} AS owner, count() AS n FROM ${table} WHERE ${where} GROUP BY owner ${masked}`, parameters)
    return new Map(rows.map(({ owner, n }) => [owner, Number(n)]))
  }

  const erasureOf = (row: ErasureRow): Erasure => {
    const subject = { accountId: row.account_id, deviceId: row.device_id }
    return {
      id: idOf(subject, row.erasure_id), ...subject, purpose: row.purpose, requestedBy: row.requested_by, reason: row.reason, until: Number(row.requested_at_ms)
    }
  }

  return {
    async say (told) {
      await insertRows(client, 'erasures', told.map(({ erasure: { id, accountId, deviceId, purpose, requestedBy, reason, until }, certificate }) => ({
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
      })))
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

    async count (erasures, which) {
      const counts = new Map<Erasure, Record<string, number>>(erasures.map(erasure => [erasure, {}]))
      const masked = which === 'all' ? 'SETTINGS apply_deleted_mask = 0' : ''
      for (const group of groupErasures(erasures, pseudonym)) {
        for (const table of heldTables) {
          const found = await countGroup(group, table, masked)
          for (const { key, erasure } of group.members) Object.assign(counts.get(erasure) ?? {}, { [table.table]: found.get(key) ?? 0 })
        }
      }
      return erasures.map((erasure): RowCounts => counts.get(erasure) ?? {})
    },

    async hide (found) {
      for (const { table, ...names } of heldTables) {
        const held = found.filter(({ rows }) => (rows[table] ?? 0) > 0).map(({ erasure }) => erasure)
        for (const group of groupErasures(held, pseudonym)) {
          const { where, parameters } = group.rowsIn(names)
          // Their ids first: after a kill in between, what is hidden could not be named any more.
          await command(`INSERT INTO erased_events SELECT ${names.eventId} AS id FROM ${table} WHERE ${where} AND id IS NOT NULL`, parameters)
          await command(`DELETE FROM ${table} WHERE ${where}`, parameters)
        }
      }
    },

    async purge (rows) {
      for (const { table } of heldTables) {
        if ((rows[table] ?? 0) === 0) continue
        const [running] = await readRows<{ n: number | string }>(client,
          'SELECT count() AS n FROM system.mutations WHERE database = currentDatabase() AND table = {table: String} AND NOT is_done', { table })
        // Not waited for: on the embedded engine nothing could be stored meanwhile. Hidden rows are beyond the reach of DELETE; this takes them out.
        if (Number(running?.n ?? 0) === 0) await command(`ALTER TABLE ${table} APPLY DELETED MASK SETTINGS mutations_sync = 0`)
      }
    },

    async droppedOf (requestIds, purpose) {
      if (requestIds.length === 0) return 0
      const list = bindList('ids', 'UUID', requestIds)
      const [row] = await readRows<{ n: number | string }>(client,
        `SELECT sum(count) AS n FROM consent_decisions_v
         WHERE stage = 'write' AND outcome = 'dropped' AND request_id IN ${list.expression} ${purpose === null ? '' : 'AND purpose = {purpose: String}'}`,
        { ...list.parameters, purpose: purpose ?? '' })
      return Number(row?.n ?? 0)
    }
  }
}

/** The part of an erasure's id that is its own. */
function uuidOf (id: string): string {
  return id.slice(2)
}
