-- Where the writer inserts events: a row for each frame, with what its events share once and the rest as lists. To read
-- sixteen values for each event takes the engine three quarters of an insert. Nothing stays here: events_from_frames
-- hands each event on to `events`, and an insert fails when that does. The lists have names of their own: to an older
-- planner a column of `events` made of a list of the same name would be made of itself.
CREATE TABLE IF NOT EXISTS event_frames
(
  name LowCardinality(String),
  version UInt16,
  product LowCardinality(String),
  release UInt16,
  product_version LowCardinality(String),
  account_ref String,
  device_ref String,
  received_at DateTime64(3, 'UTC'),
  purpose LowCardinality(String),
  reason LowCardinality(String),
  consent_entry Nullable(UUID),
  batch_id UUID,
  event_ids Array(UUID),
  occurred_times Array(DateTime64(3, 'UTC')),
  captured_times Array(DateTime64(3, 'UTC')),
  property_texts Array(String)
)
ENGINE = Null
