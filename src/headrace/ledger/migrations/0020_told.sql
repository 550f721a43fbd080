-- What a job tells while it runs, its progress and its last log lines; null where it tells nothing.
ALTER TABLE headrace.job ADD COLUMN told jsonb;
