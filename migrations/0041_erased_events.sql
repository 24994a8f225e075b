-- The ids of events that were erased, and nothing else: what a client delivers again is known by them whatever its clock says.
CREATE TABLE IF NOT EXISTS erased_events (event_id UUID)
ENGINE = ReplacingMergeTree
ORDER BY event_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
