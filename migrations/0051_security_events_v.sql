-- The security log as it is read: each event once.
CREATE OR REPLACE VIEW security_events_v AS SELECT * FROM security_events FINAL
