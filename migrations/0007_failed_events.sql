-- Rows that ClickHouse refused for good, whole, with the reason: set aside, not lost.
CREATE TABLE IF NOT EXISTS failed_events
(
  request_id UUID,
  event_id String,
  name String,
  account_ref String,
  device_ref String,
  reason LowCardinality(String),
  row String,
  failed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (request_id, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
