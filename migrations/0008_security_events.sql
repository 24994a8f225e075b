-- What happened to the protection of accounts: factors, locks, codes used. An event arrives at least once and is stored once.
CREATE TABLE IF NOT EXISTS security_events
(
  account_id String,
  at DateTime64(3, 'UTC'),
  event_id UUID,
  kind LowCardinality(String),
  actor LowCardinality(String),
  reason Nullable(String),
  remaining Nullable(UInt8),
  effective_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree
ORDER BY (account_id, at, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
