-- The ledger as it is read: each entry once.
CREATE VIEW IF NOT EXISTS consent_ledger_v AS SELECT * FROM consent_ledger FINAL
