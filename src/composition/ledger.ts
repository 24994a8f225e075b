/** Puts together what keeps the ledger honest: its verification and its checkpoints. */
import { makeCheckpointTable } from '../clickhouse/checkpoint-table.ts'
import type { ClickHouse } from '../clickhouse/client.ts'
import { makeLedgerScan } from '../clickhouse/ledger-scan.ts'
import { sealWith, sha256Hex } from '../crypto/keyed-hash.ts'
import { makeCheckpointLedger, type CheckpointOutcome } from '../flows/checkpoint-ledger.ts'
import { makeVerifyLedger, type VerifyLedger } from '../flows/verify-ledger.ts'
import { makeCheckpointCopy } from '../redis/checkpoint-copy.ts'
import { partitionOf } from '../redis/keys.ts'
import { makeLedgerProgress } from '../redis/ledger-progress.ts'
import { makeRecordReader } from '../redis/restored-state.ts'
import type { Parts } from './parts.ts'
import { repeat } from './repeat.ts'

const waitMs = 5000

export interface LedgerGuard {
  verify: VerifyLedger
  checkpoint: () => Promise<CheckpointOutcome>
}

export function makeLedgerGuard ({ redis, secrets, logger, now, newId }: Parts, clickhouse: ClickHouse): LedgerGuard {
  const shared = {
    progress: makeLedgerProgress(redis, waitMs),
    scan: makeLedgerScan(clickhouse.reader),
    checkpoints: makeCheckpointTable(clickhouse),
    checkpointCopy: makeCheckpointCopy(redis),
    seal: sealWith(secrets.ledgerKey),
    digest: sha256Hex
  }
  const checkpoint = makeCheckpointLedger({
    ...shared,
    // Kept apart from both stores, this line still tells what was signed.
    onCheckpoint: ({ sequences, signature }) => { logger.info({ sequences, signature }, 'ledger.checkpointed') },
    now,
    newId
  })
  return { checkpoint, verify: makeVerifyLedger({ ...shared, records: makeRecordReader(redis), partitionOf, checkpoint }) }
}

/** Makes a checkpoint at every turn that finds the ledger grown. */
export function startCheckpoints (parts: Parts, clickhouse: ClickHouse): void {
  const { config, closers, tell } = parts
  const { checkpoint } = makeLedgerGuard(parts, clickhouse)
  const turns = repeat(async () => {
    if (await checkpoint() === 'not_whole') tell('ledger-not-whole')
    return config.LEDGER_CHECKPOINT_EVERY
  }, error => { tell('ledger-checkpoint-failed', error) }, 10_000)
  closers.push(turns.stop)
}
