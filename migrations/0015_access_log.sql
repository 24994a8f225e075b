-- Every call of the privacy team: who asked what, why, and how it was answered; refused calls too.
CREATE TABLE IF NOT EXISTS access_log
(
  at DateTime64(3, 'UTC'),
  access_id UUID,
  subject Nullable(String),
  method LowCardinality(String),
  path String,
  query String,
  purpose_of_use String,
  status UInt16
)
ENGINE = ReplacingMergeTree
ORDER BY (at, access_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
