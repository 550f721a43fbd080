-- Who has a unique key from now on: the new job, or the one that holds it. The key's row stays locked
-- until the transaction ends; to wait for it here is to wait for all that another one did under it.
-- It holds until its time, and as long as its job is not over (done), waits (queued), or waits and was
-- never given to a worker (started; a worker may start at once what it has).
-- Each statement sees what was committed when it began: the job is looked at by one that begins under
-- the lock (tests/model, twin `looks_before_the_lock`).
-- Where the answer means that a job that waits will see what this transaction writes, it may not start
-- before that is committed: its row is locked, too (twin `answers_without_the_job`).
CREATE OR REPLACE FUNCTION headrace.take_key(
    wanted bytea, new_id uuid, new_mode text, new_until timestamptz, on_conflict text,
    args jsonb, due timestamptz
) RETURNS uuid LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
DECLARE
    held  record;
    holds boolean := true;
BEGIN
    INSERT INTO headrace.idempotency AS i (key, job_id, mode, until)
    VALUES (wanted, new_id, new_mode, new_until)
    ON CONFLICT (key) DO UPDATE
        SET job_id = excluded.job_id, mode = excluded.mode, until = excluded.until
        WHERE i.until < now() OR i.job_id = excluded.job_id;
    IF FOUND THEN
        RETURN new_id;
    END IF;
    -- A call that is repeated, since its reply was lost, finds its own job, whoever has the key by now
    -- (twin `repeats_as_if_new`), or that it has replaced what another one said (`replaces_again`).
    IF EXISTS (SELECT FROM headrace.job j WHERE j.id = new_id) THEN
        RETURN new_id;
    END IF;
    SELECT i.job_id, i.mode, i.replaced_by INTO held FROM headrace.idempotency i WHERE i.key = wanted;
    IF held.replaced_by = new_id THEN
        RETURN held.job_id;
    END IF;
    IF held.mode = 'done' OR on_conflict = 'ignore' AND held.mode <> 'window' THEN
        holds := EXISTS (SELECT FROM headrace.job j WHERE j.id = held.job_id
                          AND CASE WHEN held.mode = 'done' THEN j.state <= 1
                                   ELSE headrace.waits(j, held.mode) END);
    ELSIF held.mode <> 'window' THEN
        PERFORM FROM headrace.job j WHERE j.id = held.job_id AND headrace.waits(j, held.mode) FOR SHARE;
        holds := FOUND;
    END IF;
    IF NOT holds THEN
        UPDATE headrace.idempotency i SET job_id = new_id, mode = new_mode, until = new_until
        WHERE i.key = wanted;
        RETURN new_id;
    END IF;
    IF on_conflict = 'raise' THEN
        RAISE EXCEPTION 'job % has the unique key of this one and is "%"; wait for it, or choose another '
            'on_conflict', held.job_id, held.mode USING ERRCODE = 'HR005';
    END IF;
    IF on_conflict IN ('replace', 'debounce') THEN
        -- What is claimed in the ledger before it starts gets its arguments there, so that a copy in a
        -- lane need not be void; at another time it is another run (R1).
        UPDATE headrace.job j
        SET payload = args,
            run_at = CASE WHEN on_conflict = 'debounce' THEN due ELSE j.run_at END,
            gen = j.gen + (on_conflict = 'debounce')::int,
            xid = CASE WHEN on_conflict = 'debounce' THEN pg_current_xact_id() ELSE j.xid END
        WHERE j.id = held.job_id AND headrace.waits(j, 'queued') AND j.headers ? 'claim';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'job % has the unique key of this one by another rule ("%") and cannot be '
                'replaced; let all that share a key say the same', held.job_id, held.mode
                USING ERRCODE = 'HR005';
        END IF;
        UPDATE headrace.idempotency i SET replaced_by = new_id WHERE i.key = wanted;
    END IF;
    RETURN held.job_id;
END $$;

-- Whether a job waits to run: for the first time, or for another one, too.
CREATE OR REPLACE FUNCTION headrace.waits(job headrace.job, mode text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT job.state <= 1 AND job.owner IS NULL
           AND (mode = 'queued' OR job.failures + job.crashes + job.snoozes = 0)
$$;
