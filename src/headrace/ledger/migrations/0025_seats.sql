-- Concurrency limits: how many jobs of a line are live at once, and so how many run.

-- width: seats of each of its lines, that is, of each key. `overridden`: as in rate_limit.
CREATE TABLE headrace.concurrency_limit (
    name       text        PRIMARY KEY,
    width      int         NOT NULL CHECK (width >= 0),
    overridden boolean     NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What an operator says of one line.
CREATE TABLE headrace.line_width (
    name       text        NOT NULL REFERENCES headrace.concurrency_limit ON DELETE CASCADE,
    key        text        NOT NULL,
    width      int         NOT NULL CHECK (width >= 0),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, key)
);

-- Which jobs stand in lines: those of a task, or of a queue. The key of the line is made of texts, each
-- followed by an argument of the job; no texts: one line for all.
CREATE TABLE headrace.line_rule (
    name      text   NOT NULL REFERENCES headrace.concurrency_limit ON DELETE CASCADE,
    task      text,
    queue_id  int    REFERENCES headrace.queue ON DELETE CASCADE,
    texts     text[] NOT NULL,
    arguments text[] NOT NULL,
    CHECK (num_nulls(task, queue_id) = 1)
);
-- What arguments that were left out are, of those that keys name.
ALTER TABLE headrace.task ADD COLUMN key_defaults jsonb;

-- From here on only headrace.seat_jobs writes, except for new rows of `seat` and `seat_mark`: an insert waits
-- for nobody (tests/model/seats.py).

-- The jobs of a limit and key. taken: how many of its seats are.
CREATE TABLE headrace.line (
    id    bigint PRIMARY KEY,
    name  text   NOT NULL,
    key   text   NOT NULL,
    taken int    NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX line_name ON headrace.line (name, key);

-- Jobs of a queue that stand in the same lines: if the first of them cannot have its seats, none can.
CREATE TABLE headrace.seat_group (
    id       bigint   PRIMARY KEY,
    queue_id int      NOT NULL,
    lines    bigint[] NOT NULL
);
CREATE INDEX seat_group_lines ON headrace.seat_group USING gin (lines);

-- A job that is not over and needs seats. phase: 0 not due yet, or waits for others; 1 stands in line;
-- 2 has its seats, all of them, and is live.
CREATE TABLE headrace.seat (
    job_id   uuid        PRIMARY KEY,
    group_id bigint      NOT NULL,
    due      timestamptz NOT NULL,
    phase    smallint    NOT NULL,
    priority smallint    NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX seat_line ON headrace.seat (group_id, phase, priority, due, job_id);
CREATE INDEX seat_due ON headrace.seat (due) WHERE phase = 0;

-- Jobs at which headrace.seat_jobs has to look: they gave their seats up, came, or changed. Whoever ends a
-- job adds to this and waits for nobody.
CREATE TABLE headrace.seat_mark (
    job_id uuid   NOT NULL,
    no     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

COMMENT ON COLUMN headrace.job.links IS
    'bit 1: others wait for its end, or it waited for theirs; bit 2: it needs seats';

-- A retry, a snooze, a rate limit, a debounce: whoever is put off gives its seats up, so that it holds up
-- nobody while it waits for its time (twin `keeps_its_seat`).
CREATE FUNCTION headrace.seat_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 0 THEN
        UPDATE headrace.job SET state = 1 WHERE id = NEW.id AND state = 0;
        INSERT INTO headrace.counter_delta (queue_id, state, n)
        VALUES (NEW.queue_id, 0, -1), (NEW.queue_id, 1, 1);
    ELSE
        INSERT INTO headrace.seat_mark (job_id) VALUES (OLD.id);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION headrace.seat_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO headrace.seat_mark (job_id) VALUES (OLD.id);
    RETURN NULL;
END $$;

-- The conditions are tested in C, so that a job without seats pays next to nothing.
CREATE TRIGGER seat_moved AFTER UPDATE OF state, priority, run_at ON headrace.job
    FOR EACH ROW WHEN (NEW.links >= 2 AND (
        NEW.state <> OLD.state AND NEW.state <> 0
        OR NEW.state = 0 AND OLD.state = 0 AND NEW.run_at > OLD.run_at
        OR NEW.state = 1 AND (NEW.priority <> OLD.priority OR NEW.run_at <> OLD.run_at)))
    EXECUTE FUNCTION headrace.seat_moved();
CREATE TRIGGER seat_gone AFTER DELETE ON headrace.job
    FOR EACH ROW WHEN (OLD.links >= 2 AND OLD.state IN (0, 1))
    EXECUTE FUNCTION headrace.seat_gone();

-- Others wait for its end, or it waits for theirs: as before, but for seats alone nobody looks here.
DROP TRIGGER job_ended ON headrace.job;
CREATE TRIGGER job_ended AFTER UPDATE OF state ON headrace.job
    FOR EACH ROW WHEN (NEW.links & 1 <> 0 AND OLD.state IN (0, 1) AND NEW.state IN (2, 3, 4))
    EXECUTE FUNCTION headrace.job_ended();
DROP TRIGGER job_gone ON headrace.job;
CREATE TRIGGER job_gone AFTER DELETE ON headrace.job
    FOR EACH ROW WHEN (OLD.links & 1 <> 0 AND OLD.state IN (0, 1, 3))
    EXECUTE FUNCTION headrace.job_ended();
