-- What rare features need of a job on its way to the worker; null for all others.
ALTER TABLE headrace.job ADD COLUMN headers jsonb;
