-- Events as they are read: each once.
CREATE VIEW IF NOT EXISTS events_v AS
SELECT event_id, name, version, product, release, product_version, account_ref, device_ref, occurred_at, captured_at,
  received_at, purpose, reason, consent_entry, properties, batch_id
FROM events FINAL
