-- The security log as it is read: each event once.
CREATE VIEW IF NOT EXISTS security_events_v AS SELECT * FROM security_events FINAL
