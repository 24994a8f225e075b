-- What organisations switched off, as they stated it: from here the state in Redis can be made again.
CREATE TABLE IF NOT EXISTS organization_policies
(
  org_id String,
  at DateTime64(3, 'UTC'),
  policy_id UUID,
  policy String
)
ENGINE = ReplacingMergeTree
ORDER BY (org_id, at, policy_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480
