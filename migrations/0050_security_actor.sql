-- Which administrator did it. Shown to those who oversee administrators, not to the person.
ALTER TABLE security_events ADD COLUMN IF NOT EXISTS actor_subject Nullable(String)
