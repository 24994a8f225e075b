-- The events of a frame, each with what they share.
CREATE MATERIALIZED VIEW IF NOT EXISTS events_from_frames TO events AS
SELECT event_id, name, version, product, release, product_version, account_ref, device_ref, event_occurred_at AS occurred_at,
  event_captured_at AS captured_at, received_at, purpose, reason, consent_entry, event_properties AS properties, batch_id
FROM event_frames
ARRAY JOIN event_ids AS event_id, occurred_at AS event_occurred_at, captured_at AS event_captured_at, properties AS event_properties
