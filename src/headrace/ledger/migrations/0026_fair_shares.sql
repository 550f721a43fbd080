-- Fair shares: a line for each partition of a queue, and each level, before the jobs that are ready.

-- fair: its lines are as wide as `width` times the weight of their key, which is what line_width says then.
ALTER TABLE headrace.concurrency_limit ADD COLUMN fair boolean NOT NULL DEFAULT false;
ALTER TABLE headrace.line_width ADD COLUMN overridden boolean NOT NULL DEFAULT true;
-- fair: each level has lines of its own, so that nobody's urgent jobs wait behind others of the same key.
ALTER TABLE headrace.line_rule ADD COLUMN fair boolean NOT NULL DEFAULT false;
