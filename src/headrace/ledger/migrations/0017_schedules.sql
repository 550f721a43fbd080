-- Schedules: each makes a job at every tick. Which moments those are is computed by whoever runs the
-- scheduler, from timing alone; the row says up to where that was done.
CREATE TABLE headrace.schedule (
    name       text        PRIMARY KEY,
    app        text,
    declared   jsonb,
    undeclared boolean     NOT NULL DEFAULT false,
    timing     jsonb       NOT NULL,
    job        jsonb       NOT NULL,
    paused     boolean     NOT NULL DEFAULT false,
    version    int         NOT NULL DEFAULT 1,
    cursor     timestamptz NOT NULL DEFAULT now(),
    due_at     timestamptz DEFAULT now(),
    made       bigint      NOT NULL DEFAULT 0,
    last_tick  timestamptz,
    last_job   uuid,
    error      text,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN headrace.schedule.app IS 'the application whose code declares it, or did';
COMMENT ON COLUMN headrace.schedule.declared IS 'timing and job as the code said last';
COMMENT ON COLUMN headrace.schedule.cursor IS 'all ticks up to here are made, or passed over';
COMMENT ON COLUMN headrace.schedule.due_at IS 'when a scheduler shall look at it; null: it does not tick';
CREATE INDEX schedule_due ON headrace.schedule (due_at) WHERE due_at IS NOT NULL;

-- What was done to schedules, the newest hundred of each; it outlives them.
CREATE TABLE headrace.schedule_event (
    id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name  text        NOT NULL,
    at    timestamptz NOT NULL DEFAULT now(),
    kind  text        NOT NULL,
    actor text        NOT NULL,
    data  jsonb
);
CREATE INDEX schedule_event_name ON headrace.schedule_event (name, id);

-- Keeps what was done to a schedule, and tells the schedulers.
CREATE FUNCTION headrace.schedule_changed(schedule text, what text, who text, data jsonb) RETURNS boolean
LANGUAGE sql AS $$
    INSERT INTO headrace.schedule_event (name, kind, actor, data) VALUES (schedule, what, who, data);
    DELETE FROM headrace.schedule_event WHERE name = schedule AND id < (
        SELECT e.id FROM headrace.schedule_event e WHERE e.name = schedule
        ORDER BY e.id DESC OFFSET 99 LIMIT 1);
    SELECT pg_notify('headrace', '/schedules');
    SELECT true;
$$;

-- The job of a schedule, completed by what its task says now.
CREATE FUNCTION headrace.schedule_job(job jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT jsonb_build_object('queue', q.name, 'priority', t.priority,
                                               'max_attempts', t.max_attempts,
                                               'rerun_on_crash', t.rerun_on_crash)
                     FROM headrace.task t JOIN headrace.queue q ON q.id = t.queue_id
                     WHERE t.name = job ->> 'task'), '{}') || job
$$;
