/** The checkpoints of the ledger in ClickHouse: never changed, each stored once. */
import type { ClickHouse } from './client.ts'
import type { Checkpoint } from '../domain/checkpoint.ts'
import type { CheckpointTable } from '../flows/ledger-ports.ts'
import { insertRows, readRows } from './statements.ts'

interface CheckpointRow { checkpoint_id: string, at_ms: number | string, sequences: Array<number | string>, digests: string[], signature: string }

export function makeCheckpointTable ({ client, reader }: Pick<ClickHouse, 'client' | 'reader'>): CheckpointTable {
  return {
    add: async checkpoint => { await insertRows(client, 'ledger_checkpoints', [checkpoint]) },

    async all () {
      const rows = await readRows<CheckpointRow>(reader,
        'SELECT DISTINCT checkpoint_id, toUnixTimestamp64Milli(at) AS at_ms, sequences, digests, signature FROM ledger_checkpoints')
      return rows.map(({ at_ms: at, sequences, ...row }): Checkpoint => ({ ...row, at: Number(at), sequences: sequences.map(Number) }))
    }
  }
}
