-- What became of events, counted without account, device or payload: one row per request and stage, with one element per
-- kind of event and fate. A request whose counts arrive again replaces what it said before, so that no event has two fates.
CREATE TABLE IF NOT EXISTS decision_counts
(
  day Date,
  stage LowCardinality(String),
  request_id UUID,
  said_at UInt64,
  product LowCardinality(String),
  release UInt16,
  events Array(LowCardinality(String)),
  versions Array(UInt16),
  purposes Array(LowCardinality(String)),
  outcomes Array(LowCardinality(String)),
  reasons Array(LowCardinality(String)),
  counts Array(UInt32)
)
ENGINE = ReplacingMergeTree(said_at)
ORDER BY (day, stage, request_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
