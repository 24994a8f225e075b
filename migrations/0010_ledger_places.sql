-- What each entry changed, so that states can be counted without reading what came before; and its place among all
-- entries of its partition, counted without holes by the step that wrote it, so that a subject's whole chain cannot vanish unseen.
ALTER TABLE consent_ledger
  ADD COLUMN IF NOT EXISTS previous LowCardinality(String),
  ADD COLUMN IF NOT EXISTS partition UInt8,
  ADD COLUMN IF NOT EXISTS sequence UInt64
