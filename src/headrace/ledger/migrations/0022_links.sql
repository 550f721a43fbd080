-- Jobs that wait for others: for the end of their parents, and for their turn under an ordering key.
ALTER TABLE headrace.job ADD COLUMN links smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN headrace.job.links IS 'not 0: others wait for its end, or it waited for theirs';

-- Jobs at which headrace.unblock has to look: they ended, came again, or somebody began to wait for them.
-- Whoever ends a job adds to this and waits for nobody (tests/model/joins.py).
CREATE TABLE headrace.wake (
    job_id uuid   NOT NULL,
    no     bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (job_id, no)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX wake_no ON headrace.wake (no);

CREATE FUNCTION headrace.job_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO headrace.wake (job_id) VALUES (OLD.id);
    RETURN NULL;
END $$;

-- Every way in which a job ends comes through here; the conditions are tested in C, so that a job
-- without links pays next to nothing. A dead one may be waited for until somebody deletes it.
CREATE TRIGGER job_ended AFTER UPDATE OF state ON headrace.job
    FOR EACH ROW WHEN (NEW.links <> 0 AND OLD.state IN (0, 1) AND NEW.state IN (2, 3, 4))
    EXECUTE FUNCTION headrace.job_ended();
CREATE TRIGGER job_gone AFTER DELETE ON headrace.job
    FOR EACH ROW WHEN (OLD.links <> 0 AND OLD.state IN (0, 1, 3))
    EXECUTE FUNCTION headrace.job_ended();

-- Every job in state 1. The edges and the turn decide; pending only tells when to look: it is never
-- more than the number of edges that are not decided.
CREATE TABLE headrace.blocked (
    job_id  uuid PRIMARY KEY,
    pending int  NOT NULL
) WITH (fillfactor = 50);

-- child waits for the end of parent. on_failure: what becomes of child where parent does not complete.
-- decided: it has passed, or child was cancelled by it.
CREATE TABLE headrace.edge (
    child      uuid    NOT NULL,
    parent     uuid    NOT NULL,
    on_failure text    NOT NULL CHECK (on_failure IN ('fail', 'ignore', 'wait')),
    decided    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (child, parent)
) WITH (fillfactor = 70);
-- Without those that are decided, so that a parent of many is not searched for the few that are left.
CREATE INDEX edge_open ON headrace.edge (parent) WHERE NOT decided;

-- Ordering keys that have jobs which are not over; turn: the one that may run. The id is that of
-- headrace.order_id: should two keys share one, their jobs wait for each other, and no more.
CREATE TABLE headrace.order_key (
    id   bigint PRIMARY KEY,
    turn uuid   NOT NULL
) WITH (fillfactor = 50);

-- The jobs of a key in their order. A job leaves once it is over, a dead one only if its place is not
-- kept for it.
CREATE TABLE headrace.order_place (
    job_id uuid    PRIMARY KEY,
    key_id bigint  NOT NULL,
    seq    bigint  NOT NULL,
    kept   boolean NOT NULL
);
CREATE INDEX order_place_key ON headrace.order_place (key_id, seq);
CREATE SEQUENCE headrace.order_seq CACHE 1;

CREATE FUNCTION headrace.order_id(tenant text, queue text, key text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || substr(encode(sha256(convert_to(
        tenant || E'\n' || queue || E'\n' || key, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint
$$;

-- Flows: jobs that were enqueued as one graph, so that they can be shown, cancelled and retried as one.
CREATE TABLE headrace.flow (
    id   uuid PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE headrace.flow_job (
    flow_id uuid NOT NULL,
    job_id  uuid NOT NULL,
    step    text NOT NULL,
    PRIMARY KEY (flow_id, job_id)
);
CREATE INDEX flow_job_job ON headrace.flow_job (job_id);
