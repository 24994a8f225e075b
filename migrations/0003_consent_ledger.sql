-- Every choice ever made, append-only. An entry arrives at least once and is stored once. The id is part of the key, so
-- that two entries that claim the same revision, as after a Redis was lost, are both kept and can be told apart.
CREATE TABLE IF NOT EXISTS consent_ledger
(
  subject String,
  revision UInt64,
  entry_id UUID,
  account_id Nullable(String),
  device_id Nullable(String),
  scope LowCardinality(String),
  purpose LowCardinality(String),
  decision LowCardinality(String),
  effective_at DateTime64(3, 'UTC'),
  recorded_at DateTime64(3, 'UTC'),
  actor LowCardinality(String),
  verified_by LowCardinality(String),
  via Nullable(String),
  notice_version Nullable(String),
  prev_hash String,
  hash String
)
ENGINE = ReplacingMergeTree
ORDER BY (subject, revision, entry_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
