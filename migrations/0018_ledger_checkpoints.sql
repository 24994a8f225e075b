-- What the ledger held at a moment, signed: how many entries each partition had, and a digest over their hashes.
-- It lies beside the chain, so that an end that was cut off shows.
CREATE TABLE IF NOT EXISTS ledger_checkpoints
(
  at DateTime64(3, 'UTC'),
  checkpoint_id UUID,
  sequences Array(UInt64),
  digests Array(String),
  signature String
)
ENGINE = ReplacingMergeTree
ORDER BY (at, checkpoint_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
