-- What a key holds for: a window whatever becomes of its job, or while its job is queued, not started,
-- or not done. Idempotency keys are those of a window.
ALTER TABLE headrace.idempotency ADD COLUMN mode text NOT NULL DEFAULT 'window'
    CHECK (mode IN ('window', 'queued', 'started', 'done')), ADD COLUMN replaced_by uuid;
COMMENT ON COLUMN headrace.idempotency.replaced_by IS 'the call whose arguments replaced others last';
COMMENT ON COLUMN headrace.idempotency.until IS 'no key holds beyond; infinity where only its job ends it';
-- The keeper looks for keys whose job is over.
CREATE INDEX idempotency_by_job_state ON headrace.idempotency (job_id) WHERE mode <> 'window';
