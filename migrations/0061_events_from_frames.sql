-- The events of a frame, each with what they share. Never drop it: what is inserted meanwhile would be stored nowhere, and
-- the writer could only try again. It is changed by ALTER TABLE events_from_frames MODIFY QUERY.
CREATE MATERIALIZED VIEW IF NOT EXISTS events_from_frames TO events AS
SELECT event_id, name, version, product, release, product_version, account_ref, device_ref, occurred_at, captured_at,
  received_at, purpose, reason, consent_entry, properties, batch_id
FROM event_frames
ARRAY JOIN event_ids AS event_id, occurred_times AS occurred_at, captured_times AS captured_at, property_texts AS properties
