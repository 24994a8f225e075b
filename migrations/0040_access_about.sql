-- Whom or what a call was about, where its address does not say so: what its body named. JSON, or empty.
ALTER TABLE access_log ADD COLUMN IF NOT EXISTS about String
