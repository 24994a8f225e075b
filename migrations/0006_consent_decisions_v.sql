-- The counts as they are read: each request's once.
CREATE VIEW IF NOT EXISTS consent_decisions_v AS SELECT * FROM consent_decisions FINAL
