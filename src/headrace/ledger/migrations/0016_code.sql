-- Which code a worker is of, so that an upgrade can be followed, and none is left behind by a migration.
ALTER TABLE headrace.worker ADD COLUMN code int;
COMMENT ON COLUMN headrace.worker.code IS 'the schema that it was written for; null before 16';
