-- What became of events, counted without account, device or payload. One row per request, stage and kind, keyed by the
-- request, so that a request whose counts arrive twice is counted once.
CREATE TABLE IF NOT EXISTS consent_decisions
(
  day Date,
  stage LowCardinality(String),
  product LowCardinality(String),
  release UInt16,
  event LowCardinality(String),
  version UInt16,
  purpose LowCardinality(String),
  outcome LowCardinality(String),
  reason LowCardinality(String),
  request_id UUID,
  count UInt32
)
ENGINE = ReplacingMergeTree
ORDER BY (day, stage, product, release, event, version, purpose, outcome, reason, request_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
