-- Every erasure that was asked for, and its certificate once it is done. Names who and why, and holds nothing that was erased.
CREATE TABLE IF NOT EXISTS erasures
(
  erasure_id UUID,
  account_id Nullable(String),
  device_id Nullable(String),
  purpose Nullable(String),
  requested_at DateTime64(3, 'UTC'),
  requested_by LowCardinality(String),
  reason String,
  certificate Nullable(String),
  said_at UInt64
)
ENGINE = ReplacingMergeTree(said_at)
ORDER BY erasure_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
