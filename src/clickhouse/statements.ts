/** How every other file of this folder writes rows and asks for them. Parameters are bound; identifiers are constants. */
import type { ClickHouseClient } from '@clickhouse/client'
import { Unavailable } from '../domain/unavailable.ts'

/** Inserts rows whose members are the columns. @throws Unavailable */
export async function insertRows (client: ClickHouseClient, table: string, values: ReadonlyArray<object>): Promise<void> {
  if (values.length === 0) return
  try {
    await client.insert({ table, values, format: 'JSONEachRow' })
  } catch (cause) {
    throw new Unavailable('ClickHouse', { cause })
  }
}

/**
 * The rows of a query. Whole numbers of 64 bits may come as text. Parameters that are too long for an address go in the
 * body; see `long-list.ts` for one that is too long for a single parameter. @throws Unavailable
 */
export async function readRows<Row> (client: ClickHouseClient, query: string, parameters: Record<string, unknown> = {}): Promise<Row[]> {
  try {
    return await (await client.query({ query, query_params: parameters, use_multipart_params_auto: true, format: 'JSONEachRow' })).json<Row>()
  } catch (cause) {
    throw new Unavailable('ClickHouse', { cause })
  }
}
