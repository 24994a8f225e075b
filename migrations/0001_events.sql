-- Stored events. The key is the event id alone, which only the client chooses: the same event again, in whatever batch
-- and whenever, is the same row, and of two the one received first stays (keep_first falls as received_at rises).
-- No partition: a key that a client's clock could spread over many partitions would break inserts.
-- The fsync settings make an acknowledged insert survive a power cut. Read `events_v`, never this table.
CREATE TABLE IF NOT EXISTS events
(
  event_id UUID,
  name LowCardinality(String),
  version UInt16,
  product LowCardinality(String),
  release UInt16,
  product_version LowCardinality(String),
  account_ref String,
  device_ref String,
  occurred_at DateTime64(3, 'UTC'),
  captured_at DateTime64(3, 'UTC'),
  received_at DateTime64(3, 'UTC'),
  purpose LowCardinality(String),
  reason LowCardinality(String),
  consent_entry Nullable(UUID),
  properties String CODEC(ZSTD(1)),
  batch_id UUID,
  keep_first UInt64 MATERIALIZED 18446744073709551615 - toUInt64(toUnixTimestamp64Milli(received_at))
)
ENGINE = ReplacingMergeTree(keep_first)
ORDER BY event_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
