-- The view of 0004 once more: it keeps the columns that its table had when it was made.
CREATE OR REPLACE VIEW consent_ledger_v AS SELECT * FROM consent_ledger FINAL
