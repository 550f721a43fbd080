-- Gives seats to jobs that stand in line for them: all that a job needs or none, so that nobody holds some
-- and waits for others; in the order of priority, run_at and id. Nobody else gives or takes seats, and one
-- at a time (tests/model/seats.py, twin `seats_side_by_side`). It waits for nobody but its like: what
-- somebody else has locked is left for the next time.
-- most: how many jobs to look at, and to let go. Returns the jobs that may run now, their queues, and some
-- of those at which it is worth to look once more.
CREATE OR REPLACE FUNCTION headrace.seat_jobs(most int, OUT released uuid[], OUT queues text[], OUT again uuid[])
LANGUAGE plpgsql SET search_path = headrace, pg_catalog SET plan_cache_mode = force_generic_plan
-- Many jobs of one call are joined with each other, which our sessions otherwise never do.
SET enable_hashjoin = on AS $$
DECLARE
    marked  uuid[];
    marks   bigint[];
    came    bigint[];  -- groups
    touched bigint[];  -- lines
    chosen  uuid[];
    seated  uuid[];
    passed  uuid[] := '{}';  -- somebody has them locked, or they are over
BEGIN
    PERFORM pg_advisory_xact_lock(7166418215);
    released := '{}';
    SELECT array_agg(DISTINCT job_id), array_agg(no) INTO marked, marks
    FROM (SELECT job_id, no FROM seat_mark ORDER BY no LIMIT most) AS m;

    -- As they are now, whatever the mark told of (twin `trusts_the_mark`).
    WITH seen AS MATERIALIZED (
        SELECT s.job_id, s.group_id, s.phase, j.state, j.priority,
               CASE WHEN EXISTS (SELECT FROM blocked b WHERE b.job_id = s.job_id) THEN 'infinity'
                    ELSE j.run_at END AS due
        FROM seat s LEFT JOIN job j ON j.id = s.job_id
        WHERE s.job_id = ANY (marked)
    ), over AS (
        DELETE FROM seat s USING seen WHERE s.job_id = seen.job_id AND coalesce(seen.state, 2) >= 2
    ), back AS (
        UPDATE seat s SET phase = 0, due = seen.due, priority = seen.priority
        FROM seen
        WHERE s.job_id = seen.job_id AND seen.state = 1
          AND (seen.phase = 2 OR (s.due, s.priority) IS DISTINCT FROM (seen.due, seen.priority))
    ), freed AS (
        UPDATE line l SET taken = l.taken - free.n
        FROM (SELECT line, count(*) AS n
              FROM seen JOIN seat_group g ON g.id = seen.group_id, unnest(g.lines) AS line
              WHERE seen.phase = 2 AND seen.state IS DISTINCT FROM 0
              GROUP BY line) AS free
        WHERE l.id = free.line
    )
    SELECT array_agg(DISTINCT group_id) INTO came FROM seen;
    -- Whoever was over and comes again needs seats once more.
    WITH comer AS (
        INSERT INTO seat AS s (job_id, group_id, due, phase, priority)
        SELECT j.id, seat_group_id(j.queue_id, j.headers -> 'lines'),
               CASE WHEN b.job_id IS NULL THEN j.run_at ELSE 'infinity' END, 0, j.priority
        FROM job j LEFT JOIN blocked b ON b.job_id = j.id
        WHERE j.id = ANY (marked) AND j.state = 1 AND j.links >= 2
        ON CONFLICT (job_id) DO NOTHING
        RETURNING s.group_id
    )
    SELECT came || array_agg(group_id) INTO came FROM comer;
    WITH now_due AS (
        UPDATE seat s SET phase = 1
        WHERE s.job_id IN (SELECT job_id FROM seat WHERE phase = 0 AND due <= now() ORDER BY due LIMIT most)
        RETURNING s.job_id, s.group_id
    )
    SELECT came || array_agg(group_id), CASE WHEN count(*) = most THEN array_agg(job_id) END
    INTO came, again FROM now_due;

    INSERT INTO seat_group (id, queue_id, lines)
    SELECT unknown.id, one.queue_id,
           ARRAY(SELECT line_id(l) FROM jsonb_array_elements(one.lines) AS l)
    FROM (SELECT DISTINCT id FROM unnest(came) AS id) AS unknown, LATERAL (
        SELECT j.queue_id, j.headers -> 'lines' AS lines FROM seat s JOIN job j ON j.id = s.job_id
        WHERE s.group_id = unknown.id AND s.phase <= 1
        LIMIT 1
    ) AS one
    WHERE NOT EXISTS (SELECT FROM seat_group g WHERE g.id = unknown.id);
    IF FOUND THEN
        INSERT INTO line (id, name, key)
        SELECT DISTINCT ON (id) line_id(l) AS id, l ->> 0, l ->> 1
        FROM seat_group g, LATERAL (
            SELECT j.headers -> 'lines' AS lines FROM seat s JOIN job j ON j.id = s.job_id
            WHERE s.group_id = g.id AND s.phase <= 1
            LIMIT 1
        ) AS one, jsonb_array_elements(one.lines) AS l
        WHERE g.id = ANY (came)
        ON CONFLICT (id) DO NOTHING;
    END IF;

    touched := ARRAY(SELECT DISTINCT unnest(g.lines) FROM seat_group g WHERE g.id = ANY (came));
    WHILE cardinality(released) < most LOOP
        -- The first of each group that has room, as many as it has room for; of these whoever has a seat
        -- in each line once all before it have theirs. Whom that leaves out wrongly, since one before
        -- it has no seat in another line, the next turn has.
        WITH candidate AS MATERIALIZED (
            SELECT g.id, g.lines
            FROM seat_group g JOIN queue q ON q.id = g.queue_id AND NOT q.paused
            WHERE g.lines && touched
        ), space AS MATERIALIZED (
            SELECT id, room FROM free_seats(ARRAY(SELECT DISTINCT unnest(lines) FROM candidate))
        ), opened AS MATERIALIZED (
            SELECT c.id, c.lines, min(space.room) AS room
            FROM candidate c, unnest(c.lines) AS line JOIN space ON space.id = line
            GROUP BY c.id, c.lines HAVING min(space.room) > 0
        ), first AS MATERIALIZED (
            SELECT s.job_id, s.priority, s.due, opened.lines
            FROM opened, LATERAL (
                SELECT job_id, priority, due FROM seat
                WHERE group_id = opened.id AND phase = 1 AND job_id <> ALL (passed)
                ORDER BY priority, due, job_id
                LIMIT least(opened.room, most)
            ) AS s
            ORDER BY s.priority, s.due, s.job_id
            LIMIT most - cardinality(released)
        ), fits AS (
            SELECT job_id
            FROM (SELECT f.job_id, row_number() OVER (PARTITION BY space.id ORDER BY priority, due, job_id)
                                   <= space.room AS has_one
                  FROM first f, unnest(f.lines) AS line JOIN space ON space.id = line) AS one
            GROUP BY job_id HAVING bool_and(has_one)
        )
        SELECT array_agg(job_id) INTO chosen FROM fits;
        EXIT WHEN chosen IS NULL;
        WITH free AS (
            SELECT id FROM job WHERE id = ANY (chosen) AND state = 1 FOR NO KEY UPDATE SKIP LOCKED
        ), live AS (
            UPDATE job j SET state = 0, gen = j.gen + 1, xid = pg_current_xact_id(), pushed = false,
                             run_at = greatest(j.run_at, now())
            FROM free WHERE j.id = free.id AND j.state = 1
            RETURNING j.id, j.queue_id
        ), seats AS (
            UPDATE seat s SET phase = 2 FROM live WHERE s.job_id = live.id RETURNING s.group_id
        ), counted AS (
            UPDATE line l SET taken = l.taken + more.n
            FROM (SELECT line, count(*) AS n
                  FROM seats JOIN seat_group g ON g.id = seats.group_id, unnest(g.lines) AS line
                  GROUP BY line) AS more
            WHERE l.id = more.line
        ), tally AS (
            INSERT INTO counter_delta (queue_id, state, n)
            SELECT queue_id, moved.state, moved.sign * count(*)
            FROM live, (VALUES (1, -1), (0, 1)) AS moved (state, sign)
            GROUP BY queue_id, moved.state, moved.sign
        )
        SELECT array_agg(live.id), ARRAY(SELECT DISTINCT unnest(queues || array_agg(q.name)))
        INTO seated, queues FROM live JOIN queue q ON q.id = live.queue_id;
        released := released || seated;
        passed := passed || ARRAY(SELECT unnest(chosen) EXCEPT SELECT unnest(seated));
    END LOOP;

    -- Only the marks that were seen go: another one tells of something later (twin
    -- `forgets_what_came_later`). What could not be had, or was too much, is looked at again (twin
    -- `forgets_what_is_locked`).
    DELETE FROM seat_mark WHERE no = ANY (marks);
    INSERT INTO seat_mark (job_id) SELECT unnest(passed);
    IF cardinality(released) >= most THEN
        again := again || ARRAY(
            SELECT s.job_id FROM (SELECT DISTINCT id FROM unnest(came) AS id) AS g, LATERAL (
                SELECT job_id FROM seat WHERE group_id = g.id AND phase = 1 LIMIT 1) AS s);
        INSERT INTO seat_mark (job_id) SELECT unnest(again);
    ELSIF cardinality(marks) = most THEN
        again := again || marked;
    END IF;
END $$;

-- Look again at whoever stands in line under a limit, or in a queue (null: any), since more may be let go:
-- after its width has changed, or the queue goes on. It is seen by who seats next, and who seats now is
-- waited for (twin `stirs_beside_a_look`).
CREATE OR REPLACE FUNCTION headrace.stir_lines(of_limit text, of_queue text) RETURNS void
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7166418215);
    INSERT INTO seat_mark (job_id)
    SELECT one.job_id FROM seat_group g, LATERAL (
        SELECT s.job_id FROM seat s WHERE s.group_id = g.id AND s.phase = 1 LIMIT 1
    ) AS one
    WHERE (of_queue IS NULL OR g.queue_id = (SELECT q.id FROM queue q WHERE q.name = of_queue))
      AND (of_limit IS NULL OR g.lines && ARRAY(SELECT l.id FROM line l WHERE l.name = of_limit));
END $$;

-- Lets go on what waited for others, and then what waits for seats.
CREATE OR REPLACE FUNCTION headrace.let_go(
    wanted uuid[], most int, OUT released uuid[], OUT queues text[], OUT again uuid[]
) LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
DECLARE
    seated record;
BEGIN
    SELECT u.* INTO released, queues, again FROM unblock(wanted, most) AS u;
    IF EXISTS (SELECT FROM seat_mark) OR EXISTS (SELECT FROM seat WHERE phase = 0 AND due <= now()) THEN
        SELECT * INTO seated FROM seat_jobs(most);
        released := released || seated.released;
        queues := queues || seated.queues;
        again := again || seated.again;
    END IF;
END $$;
