-- The index of 0020 for the entries of before.
ALTER TABLE consent_ledger MATERIALIZE INDEX device_id_index
