-- The ledger: jobs in daily partitions, what is known of queues, tasks and workers, counters.

CREATE TABLE headrace.queue (
    id         int         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    paused     boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What a task declares, so that a job inserted by raw SQL gets the same defaults.
CREATE TABLE headrace.task (
    name           text        PRIMARY KEY,
    queue_id       int         NOT NULL REFERENCES headrace.queue ON DELETE RESTRICT,
    priority       smallint    NOT NULL,
    max_attempts   smallint    NOT NULL,
    rerun_on_crash boolean     NOT NULL,
    declared_at    timestamptz NOT NULL DEFAULT now()
);

-- state: 0 live, 1 blocked, 2 completed, 3 dead, 4 cancelled. gen is the fencing token.
-- pushed: its producer puts it into the lane itself, once it is committed.
-- Columns stand in order of alignment; the creation time is in the id (UUIDv7).
CREATE TABLE headrace.job (
    id             uuid        NOT NULL,
    owner          uuid,
    settled_by     uuid,
    run_at         timestamptz NOT NULL,
    xid            xid8        NOT NULL DEFAULT pg_current_xact_id(),
    started_at     timestamptz,
    settled_at     timestamptz,
    queue_id       int         NOT NULL,
    gen            int         NOT NULL DEFAULT 1,
    settled_gen    int,
    claim_no       int,
    state          smallint    NOT NULL DEFAULT 0,
    priority       smallint    NOT NULL,
    max_attempts   smallint    NOT NULL,
    failures       smallint    NOT NULL DEFAULT 0,
    crashes        smallint    NOT NULL DEFAULT 0,
    snoozes        smallint    NOT NULL DEFAULT 0,
    rerun_on_crash boolean     NOT NULL DEFAULT false,
    pushed         boolean     NOT NULL DEFAULT false,
    task           text        NOT NULL,
    tenant         text        NOT NULL DEFAULT '',
    payload        jsonb       NOT NULL,
    result         jsonb,
    error          jsonb,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

-- Dispatch, refill and the walk read this one; a claimed row leaves it.
CREATE INDEX job_live ON headrace.job (queue_id, priority, run_at, id)
    WHERE state = 0 AND owner IS NULL;
-- The reaper and a worker's beat read what a worker owns.
CREATE INDEX job_owned ON headrace.job (owner) WHERE state = 0 AND owner IS NOT NULL;
-- The sweep reads what was committed since the last one. That generations are positive says nothing
-- new, but keeps the planner from walking this index for others, who want the one above.
CREATE INDEX job_fresh ON headrace.job (xid) WHERE state = 0 AND owner IS NULL AND gen > 0;
-- Dead letters.
CREATE INDEX job_dead ON headrace.job (queue_id, id) WHERE state = 3;

-- What was not happy: retries, crashes, deaths, cancellations, replays. Same bounds as job.
CREATE TABLE headrace.job_event (
    job_id uuid        NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    gen    int         NOT NULL,
    kind   text        NOT NULL,
    actor  text        NOT NULL,
    data   jsonb
) PARTITION BY RANGE (job_id);
CREATE INDEX job_event_job ON headrace.job_event (job_id, gen);

CREATE TABLE headrace.idempotency (
    key    bytea       PRIMARY KEY,
    job_id uuid        NOT NULL,
    until  timestamptz NOT NULL
);
CREATE INDEX idempotency_job ON headrace.idempotency (job_id);
CREATE INDEX idempotency_until ON headrace.idempotency (until);

-- A worker's lease: `beats` moves while it lives; once `reaped_at` is set the id is void for ever.
CREATE TABLE headrace.worker (
    id         uuid        PRIMARY KEY,
    host       text        NOT NULL,
    pid        int         NOT NULL,
    queues     jsonb       NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at    timestamptz NOT NULL DEFAULT now(),
    beats      bigint      NOT NULL DEFAULT 0,
    reaped_at  timestamptz
) WITH (fillfactor = 50);

-- One service of many does the work that only one needs to do. Losing it costs time, never a job.
CREATE TABLE headrace.leader (
    role   text        PRIMARY KEY,
    holder uuid        NOT NULL,
    until  timestamptz NOT NULL
);

-- Jobs by queue and stored state: folded totals, and what is yet to be folded.
CREATE TABLE headrace.counter (
    queue_id int      NOT NULL,
    state    smallint NOT NULL,
    n        bigint   NOT NULL,
    PRIMARY KEY (queue_id, state)
) WITH (fillfactor = 50);
CREATE TABLE headrace.counter_delta (
    queue_id int      NOT NULL,
    state    smallint NOT NULL,
    n        int      NOT NULL
);

-- The lane as all must see it. mode: direct (claims from here), rebuild (nothing is given out),
-- hybrid (the lane gives out). `fence` is the first transaction id after the lane began to refuse
-- the previous epoch: rows from it on cannot lie in the old lane, so they need not wait until it is
-- `calm`, which it is once all who worked under the previous epoch have stopped or said what they
-- hold. `held`: an operator wants it direct.
CREATE TABLE headrace.lane (
    name  text        PRIMARY KEY,
    epoch bigint      NOT NULL,
    mode  text        NOT NULL CHECK (mode IN ('direct', 'rebuild', 'hybrid')),
    held  boolean     NOT NULL DEFAULT false,
    calm  boolean     NOT NULL DEFAULT true,
    fence xid8,
    since timestamptz NOT NULL DEFAULT now()
);
INSERT INTO headrace.lane (name, epoch, mode) VALUES ('main', 1, 'direct');

-- UUIDv7 of RFC 9562: 48 bits of milliseconds, version, randomness.
CREATE FUNCTION headrace.uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || substr(hex, 14))::uuid
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS hex) AS random
$$;

-- The smallest id of an instant: partition bounds and the check of ids.
CREATE FUNCTION headrace.uuid_floor(at timestamptz) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$$;

CREATE FUNCTION headrace.uuid_time(id uuid) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_timestamp(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
$$;

-- A day's partition is made beside the table and attached, so that readers and writers go on.
CREATE FUNCTION headrace.add_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    part   text;
    lower  uuid := headrace.uuid_floor(day::timestamp AT TIME ZONE 'UTC');
    upper  uuid := headrace.uuid_floor((day + 1)::timestamp AT TIME ZONE 'UTC');
BEGIN
    IF to_regclass(format('headrace.job_%s', to_char(day, 'YYYYMMDD'))) IS NOT NULL THEN
        RETURN false;
    END IF;
    FOREACH parent IN ARRAY ARRAY['job', 'job_event'] LOOP
        part := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        EXECUTE format('CREATE TABLE headrace.%I (LIKE headrace.%I INCLUDING ALL) WITH ('
            'autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2, '
            'autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0)', part, parent);
        EXECUTE format('ALTER TABLE headrace.%I ATTACH PARTITION headrace.%I FOR VALUES FROM (%L) TO (%L)',
            parent, part, lower, upper);
    END LOOP;
    RETURN true;
END $$;

CREATE TABLE headrace.job_default PARTITION OF headrace.job DEFAULT;
CREATE TABLE headrace.job_event_default PARTITION OF headrace.job_event DEFAULT;
SELECT headrace.add_partition((now() AT TIME ZONE 'UTC')::date + n) FROM generate_series(-1, 3) AS n;
