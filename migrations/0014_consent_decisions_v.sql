-- The counts as they are read: one row per kind of event and fate.
CREATE OR REPLACE VIEW consent_decisions_v AS
SELECT day, stage, product, release, event, version, purpose, outcome, reason, request_id, count
FROM decision_counts FINAL
ARRAY JOIN events AS event, versions AS version, purposes AS purpose, outcomes AS outcome, reasons AS reason, counts AS count
