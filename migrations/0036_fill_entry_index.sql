-- The index of 0035 for the entries of before.
ALTER TABLE consent_ledger MATERIALIZE INDEX entry_id_index
