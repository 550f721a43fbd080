-- Retention: a day's partition is detached, what must stay moves to DEFAULT, the rest is dropped.

-- Step one, to be called with a short lock_timeout: from DETACH to COMMIT nobody reads or writes jobs,
-- so all searching is done before. What must stay: live, blocked and dead jobs, and those that
-- ended less than `keep` ago. A job that is over never changes back (dead ones, which may, stay), so
-- no row can join them between the search and the lock.
-- Returns how many rows stay; null, and nothing done, where they are more than `most`.
CREATE FUNCTION headrace.retire_partition(day date, keep interval, most int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    job_part   text := format('job_%s', to_char(day, 'YYYYMMDD'));
    event_part text := format('job_event_%s', to_char(day, 'YYYYMMDD'));
    staying    uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('headrace.' || job_part)) THEN
        RETURN 0;  -- another keeper was here first
    END IF;
    EXECUTE format(
        'SELECT array_agg(id) FROM (SELECT id FROM headrace.%I '
        'WHERE state NOT IN (2, 4) OR settled_at >= now() - $1 LIMIT $2 + 1) AS stay', job_part)
        INTO staying USING keep, most;
    IF cardinality(staying) > most THEN
        RETURN NULL;
    END IF;
    EXECUTE format('ALTER TABLE headrace.job DETACH PARTITION headrace.%I', job_part);
    EXECUTE format('ALTER TABLE headrace.job_event DETACH PARTITION headrace.%I', event_part);
    EXECUTE format(
        'WITH moved AS (DELETE FROM headrace.%I WHERE id = ANY ($1) RETURNING *) '
        'INSERT INTO headrace.job SELECT * FROM moved', job_part) USING staying;
    EXECUTE format(
        'WITH moved AS (DELETE FROM headrace.%I WHERE job_id = ANY ($1) RETURNING *) '
        'INSERT INTO headrace.job_event SELECT * FROM moved', event_part) USING staying;
    RETURN coalesce(cardinality(staying), 0);
END $$;

-- Step two, in its own transaction: nobody else knows the detached tables. The counters say what is in
-- the ledger, so they go down by what is dropped. Returns how many jobs were.
CREATE FUNCTION headrace.drop_retired(day date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    job_part   text := format('job_%s', to_char(day, 'YYYYMMDD'));
    event_part text := format('job_event_%s', to_char(day, 'YYYYMMDD'));
    left_over  record;
    dropped    bigint := 0;
BEGIN
    -- Not to_regclass: it may still answer from a cache after another keeper has dropped the table.
    IF NOT EXISTS (SELECT FROM pg_class
                   WHERE relname = job_part AND relnamespace = 'headrace'::regnamespace) THEN
        RETURN 0;
    END IF;
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('headrace.' || job_part)) THEN
        RAISE EXCEPTION 'partition % is in use; retire it first', job_part;
    END IF;
    FOR left_over IN EXECUTE format(
        'SELECT queue_id, state, count(*) AS n FROM headrace.%I GROUP BY queue_id, state', job_part)
    LOOP
        IF left_over.state NOT IN (2, 4) THEN
            RAISE EXCEPTION 'partition % holds jobs that must stay; it is kept', job_part;
        END IF;
        INSERT INTO headrace.counter_delta (queue_id, state, n)
        VALUES (left_over.queue_id, left_over.state, -left_over.n);
        dropped := dropped + left_over.n;
    END LOOP;
    EXECUTE format('DROP TABLE headrace.%I', job_part);
    EXECUTE format('DROP TABLE IF EXISTS headrace.%I', event_part);
    RETURN dropped;
END $$;
