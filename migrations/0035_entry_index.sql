-- Finds an entry by its id alone: the key of the table begins with the subject, which the question does not name.
ALTER TABLE consent_ledger ADD INDEX IF NOT EXISTS entry_id_index entry_id TYPE bloom_filter GRANULARITY 1
