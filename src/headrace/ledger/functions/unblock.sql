-- Lets go on what waited for others. It looks at jobs that ended, came again, or that somebody began to
-- wait for, as they are now, so that to look once more changes nothing. It waits for nobody but its like:
-- what somebody else has locked is left for the next time. So no end of a job ever waits for those that
-- wait for it, however many they are, and nothing here can deadlock.
-- wanted: the jobs to look at, or null: those that nobody has looked at. most: how many of them, and of
-- those that wait for them, at once. Returns the jobs that may run now, their queues, and what is worth
-- looking at again (tests/model/ordering.py and joins.py have a twin for each rule).
CREATE OR REPLACE FUNCTION headrace.unblock(
    wanted uuid[], most int, OUT released uuid[], OUT queues text[], OUT again uuid[]
) LANGUAGE plpgsql SET search_path = headrace, pg_catalog SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    woken    uuid[];  -- what is looked at
    marks    bigint[];
    lo       uuid;    -- between these all of them lie, and so in few partitions
    hi       uuid;
    unlinked uuid[];  -- somebody has it locked, so that it cannot be told to wake us
    ended    uuid[];
    comers   uuid[];  -- they wait themselves
    lines    boolean;
    keys     bigint[];
    heads    uuid[] := '{}';
    waiting  uuid[];
    children uuid[];
    parents  uuid[];
    verdicts boolean[];
    many     boolean;
    failed   uuid[] := '{}';
    left_for_later uuid[];
BEGIN
    -- One at a time, each to its commit: two would leave to each other what both need.
    PERFORM pg_advisory_xact_lock(7166418214);
    -- The oldest marks first: what is left for later goes to the end, and nobody waits behind it for ever.
    IF wanted IS NULL THEN
        SELECT array_agg(DISTINCT job_id), array_agg(no) INTO woken, marks
        FROM (SELECT job_id, no FROM wake ORDER BY no LIMIT most) AS w;
    ELSE
        SELECT array_agg(DISTINCT job_id), array_agg(no) INTO woken, marks
        FROM (SELECT job_id, no FROM wake WHERE job_id = ANY (wanted) LIMIT most) AS w;
    END IF;
    IF woken IS NULL THEN
        RETURN;
    END IF;
    lo := woken[1];
    hi := woken[cardinality(woken)];

    -- What somebody waits for wakes us when it ends (twin `waits_unseen`), a dead one when it comes again.
    UPDATE job j SET links = j.links | 1
    FROM (SELECT id FROM job
          WHERE id = ANY (woken) AND id BETWEEN lo AND hi AND state IN (0, 1, 3) AND links & 1 = 0
          FOR NO KEY UPDATE SKIP LOCKED) AS free
    WHERE j.id = free.id AND j.links & 1 = 0;
    -- Only now: whoever ended before is seen, and whoever ends after wakes us.
    SELECT array_agg(w) FILTER (WHERE j.state IN (0, 1, 3) AND j.links & 1 = 0),
           array_agg(w) FILTER (WHERE j.id IS NULL OR j.state >= 2),
           array_agg(w) FILTER (WHERE j.state = 1)
    INTO unlinked, ended, comers
    FROM unnest(woken) AS w LEFT JOIN job j ON j.id = w AND j.id BETWEEN lo AND hi;

    -- Ordering keys: who is over leaves, and the next one has the turn.
    lines := EXISTS (SELECT FROM order_place p WHERE p.job_id = ANY (ended));
    IF lines THEN
        keys := ARRAY(
            SELECT k.id FROM order_key k
            WHERE k.id IN (SELECT p.key_id FROM order_place p WHERE p.job_id = ANY (ended))
            ORDER BY k.id FOR UPDATE SKIP LOCKED);
        -- As they are under the lock: who was replayed meanwhile stays (twin `leaves_though_replayed`).
        DELETE FROM order_place p
        USING unnest(ended) AS w LEFT JOIN job j ON j.id = w AND j.id BETWEEN lo AND hi
        WHERE p.job_id = w AND p.key_id = ANY (keys)
          AND (j.id IS NULL OR j.state IN (2, 4) OR j.state = 3 AND NOT p.kept);
        -- Who came meanwhile is seen under the lock, too (twin `passes_without_the_lock`).
        WITH passed AS (
            UPDATE order_key k
            SET turn = (SELECT p.job_id FROM order_place p WHERE p.key_id = k.id ORDER BY p.seq LIMIT 1)
            WHERE k.id = ANY (keys) AND NOT EXISTS (SELECT FROM order_place p WHERE p.job_id = k.turn)
              AND EXISTS (SELECT FROM order_place p WHERE p.key_id = k.id)
            RETURNING k.turn
        )
        SELECT coalesce(array_agg(turn), '{}') INTO heads FROM passed;
        DELETE FROM order_key k WHERE k.id = ANY (keys)
        AND NOT EXISTS (SELECT FROM order_place p WHERE p.key_id = k.id);
    END IF;

    -- Those that wait for them, unless they are over (twin `lets_go_what_is_over`). Whoever puts a job
    -- before one of these holds it, and what he put there is seen once it can be had (twin
    -- `adds_without_the_lock`).
    waiting := ARRAY(
        SELECT b.job_id FROM blocked b WHERE b.job_id = ANY (heads || comers)
        FOR NO KEY UPDATE SKIP LOCKED);
    SELECT array_agg(child), array_agg(parent), array_agg(passes) INTO children, parents, verdicts
    FROM (
        SELECT b.job_id AS child, w.id AS parent, headrace.edge_passes(e.on_failure, w.state) AS passes
        FROM (SELECT w AS id, p.state
              FROM unnest(ended) AS w LEFT JOIN job p ON p.id = w AND p.id BETWEEN lo AND hi) AS w,
             LATERAL (SELECT child, on_failure FROM edge WHERE parent = w.id AND NOT decided) AS e
             JOIN blocked b ON b.job_id = e.child
             JOIN job c ON c.id = e.child AND c.state = 1
        WHERE headrace.edge_passes(e.on_failure, w.state) IS NOT NULL
        LIMIT most FOR NO KEY UPDATE OF b SKIP LOCKED
    ) AS judged;
    many := cardinality(children) = most;
    waiting := waiting || children;
    IF comers && waiting THEN
        SELECT children || array_agg(child), parents || array_agg(parent), verdicts || array_agg(passes)
        INTO children, parents, verdicts
        FROM (SELECT e.child, e.parent, headrace.edge_passes(e.on_failure, p.state) AS passes
              FROM edge e LEFT JOIN job p ON p.id = e.parent
              WHERE e.child = ANY (comers) AND e.child = ANY (waiting) AND e.parent <> ALL (coalesce(ended, '{}'))
                AND NOT e.decided) AS judged
        WHERE passes IS NOT NULL;
    END IF;
    IF children IS NOT NULL THEN
        IF false = ANY (verdicts) THEN
            failed := headrace.fail_blocked(children, parents, verdicts);
        END IF;
        WITH decided AS (
            UPDATE edge e SET decided = true
            FROM unnest(children, parents, verdicts) AS v (child, parent, passes)
            WHERE e.child = v.child AND e.parent = v.parent AND (v.passes OR v.child = ANY (failed))
            RETURNING e.child
        )
        UPDATE blocked b SET pending = greatest(b.pending - n, 0)
        FROM (SELECT child, count(*) AS n FROM decided GROUP BY child) AS counted
        WHERE b.job_id = counted.child;
    END IF;

    IF cardinality(waiting) > 0 THEN
        -- The edges decide: some may have been added since they were counted (twin `trusts_the_count`).
        UPDATE blocked b
        SET pending = (SELECT count(*) FROM edge e WHERE e.child = b.job_id AND NOT e.decided)
        WHERE b.job_id = ANY (waiting) AND b.pending = 0
          AND EXISTS (SELECT FROM edge e WHERE e.child = b.job_id AND NOT e.decided);
        WITH free AS (
            SELECT j.id, j.links FROM job j
            WHERE j.id IN (SELECT headrace.free_of(waiting)) AND j.state = 1
            FOR NO KEY UPDATE SKIP LOCKED
        ), live AS (
            UPDATE job j SET state = 0, gen = j.gen + 1, xid = pg_current_xact_id(), pushed = false,
                             run_at = greatest(j.run_at, now())
            FROM free WHERE j.id = free.id AND j.state = 1 AND free.links < 2
            RETURNING j.id, j.queue_id
        ), in_line AS (
            -- It waits for seats from now on (seat_jobs.sql).
            INSERT INTO seat_mark (job_id) SELECT id FROM free WHERE links >= 2
        ), done AS (
            DELETE FROM blocked b USING free WHERE b.job_id = free.id
        ), tally AS (
            INSERT INTO counter_delta (queue_id, state, n)
            SELECT queue_id, moved.state, moved.sign * count(*)
            FROM live, (VALUES (1, -1), (0, 1)) AS moved (state, sign)
            GROUP BY queue_id, moved.state, moved.sign
        )
        SELECT array_agg(live.id), array_agg(DISTINCT q.name) INTO released, queues
        FROM live JOIN queue q ON q.id = live.queue_id;
    END IF;
    DELETE FROM blocked WHERE job_id IN (
        SELECT b.job_id FROM blocked b WHERE b.job_id = ANY (ended) FOR UPDATE SKIP LOCKED);

    -- What could not be had is looked at again (twin `forgets_what_is_locked`); of what is done only the
    -- marks that were seen go: another one tells of something later (twin `forgets_what_came_later`).
    left_for_later := ARRAY(
        SELECT unnest(unlinked)
        UNION SELECT p.job_id FROM order_place p
              WHERE lines AND p.job_id = ANY (ended) AND p.key_id <> ALL (keys)
        UNION SELECT w FROM unnest(ended) AS w LEFT JOIN job p ON p.id = w AND p.id BETWEEN lo AND hi
              WHERE EXISTS (SELECT FROM edge e JOIN blocked b ON b.job_id = e.child
                            JOIN job c ON c.id = e.child AND c.state = 1
                            WHERE e.parent = w AND NOT e.decided
                              AND headrace.edge_passes(e.on_failure, p.state) IS NOT NULL)
        UNION SELECT b.job_id FROM blocked b WHERE b.job_id = ANY (ended)
        UNION SELECT b.job_id FROM blocked b
              WHERE b.job_id = ANY (heads || comers) AND b.job_id <> ALL (waiting)
        UNION SELECT headrace.free_of(waiting));
    INSERT INTO wake (job_id) SELECT unnest(left_for_later);
    DELETE FROM wake WHERE job_id = ANY (woken) AND no = ANY (marks);
    again := failed;
    IF many THEN
        again := again || left_for_later;
    END IF;
    IF cardinality(marks) = most AND cardinality(left_for_later) < most / 2 THEN
        again := again || woken;
    END IF;
END $$;

-- Whether an edge is satisfied by how its parent is (null: gone); null while that is not decided.
CREATE OR REPLACE FUNCTION headrace.edge_passes(on_failure text, parent smallint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN parent <= 1 THEN NULL
                WHEN parent = 2 OR on_failure = 'ignore' THEN true
                WHEN parent = 3 AND on_failure = 'wait' THEN NULL
                ELSE false END
$$;

-- Those of these blocked jobs that wait for nobody any more.
CREATE OR REPLACE FUNCTION headrace.free_of(jobs uuid[]) RETURNS SETOF uuid
LANGUAGE sql STABLE AS $$
    SELECT b.job_id FROM headrace.blocked b JOIN headrace.job j ON j.id = b.job_id AND j.state = 1
    WHERE b.job_id = ANY (jobs) AND b.pending = 0
      AND NOT EXISTS (SELECT FROM headrace.order_place p JOIN headrace.order_key k ON k.id = p.key_id
                      WHERE p.job_id = b.job_id AND k.turn <> b.job_id)
$$;

-- Cancels the blocked jobs of these edges that do not pass. That is an end, too, which others may wait for.
CREATE OR REPLACE FUNCTION headrace.fail_blocked(children uuid[], parents uuid[], passes boolean[])
RETURNS uuid[] LANGUAGE sql AS $$
    WITH cause AS (
        SELECT DISTINCT ON (v.child) v.child, jsonb_build_object(
            'type', 'ParentFailed', 'message', format('job %s, which comes before it, %s', v.parent,
                CASE p.state WHEN 3 THEN 'is dead' WHEN 4 THEN 'was cancelled' ELSE 'was deleted' END)) AS error
        FROM unnest(children, parents, passes) AS v (child, parent, passes)
        LEFT JOIN headrace.job p ON p.id = v.parent
        WHERE NOT v.passes ORDER BY v.child, v.parent
    ), cut AS (
        SELECT j.id FROM headrace.job j WHERE j.id IN (SELECT child FROM cause) AND j.state = 1
        FOR NO KEY UPDATE SKIP LOCKED
    ), cancelled AS (
        UPDATE headrace.job j
        SET state = 4, gen = j.gen + 1, xid = pg_current_xact_id(), settled_at = now(), error = cause.error
        FROM cut JOIN cause ON cause.child = cut.id
        WHERE j.id = cut.id AND j.state = 1
        RETURNING j.id, j.gen, j.queue_id, j.error
    ), gone AS (
        DELETE FROM headrace.blocked b USING cancelled WHERE b.job_id = cancelled.id
    ), tally AS (
        INSERT INTO headrace.counter_delta (queue_id, state, n)
        SELECT queue_id, moved.state, moved.sign * count(*)
        FROM cancelled, (VALUES (1, -1), (4, 1)) AS moved (state, sign)
        GROUP BY queue_id, moved.state, moved.sign
    ), history AS (
        INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
        SELECT id, gen - 1, 'cancelled', 'flow', error FROM cancelled
    )
    SELECT coalesce(array_agg(id), '{}') FROM cancelled
$$;
