-- What workers hold ahead of their free slots, so that a death charges it to nobody.

-- The jobs of this call of a worker have not started, whatever else it holds: `charge` ends that
-- before the first of them does. At most one such call a worker and queue.
CREATE TABLE headrace.prefetch (
    worker   uuid NOT NULL REFERENCES headrace.worker ON DELETE CASCADE,
    queue_id int  NOT NULL REFERENCES headrace.queue ON DELETE CASCADE,
    claim_no int  NOT NULL,
    PRIMARY KEY (worker, queue_id)
) WITH (fillfactor = 50);

-- Whether a dead worker may have run what it held. One that left said what it was running; all else
-- may have run, but for what it had taken ahead (tests/model, twins `leaving_counts_as_crash`,
-- `ahead_counts_as_crash`).
CREATE FUNCTION headrace.may_have_run(
    worker uuid, left_with jsonb, job_id uuid, gen int, queue_id int, claim_no bigint
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN left_with IS NOT NULL
                THEN coalesce((left_with ->> job_id::text)::int = gen, false)
                ELSE NOT EXISTS (SELECT FROM headrace.prefetch p
                                 WHERE p.worker = may_have_run.worker
                                   AND p.queue_id = may_have_run.queue_id
                                   AND p.claim_no = may_have_run.claim_no) END
$$;
