-- Who has a job that shall end is told by its next beat; the row stays until the job is over.
CREATE TABLE headrace.cancellation (
    job_id   uuid PRIMARY KEY,
    actor    text NOT NULL,
    reason   text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE headrace.cancellation IS 'jobs in the hands of workers that are asked to end them';
