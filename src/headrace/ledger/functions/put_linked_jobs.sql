-- Jobs that wait for others, or that others wait for: with their edges, their places, their flow. And those
-- that need seats, which nobody has from the beginning: to give them is left to headrace.seat_jobs, so that no
-- insert waits for another one under its limit.
DROP FUNCTION IF EXISTS headrace.put_linked_jobs(jsonb);  -- what it returns has grown with 0025
CREATE OR REPLACE FUNCTION headrace.put_linked_jobs(docs jsonb)
RETURNS TABLE (place int, job_id uuid, blocked boolean, seated boolean)
-- Many jobs of one call are joined with each other, which our sessions otherwise never do.
LANGUAGE plpgsql SET enable_hashjoin = on AS $$
#variable_conflict use_column
DECLARE
    keys bigint[];
BEGIN
    PERFORM headrace.check_links(docs);
    -- The row of a key is locked until the commit, which is thereby the order of its jobs; the turn that
    -- it names then decides, not what was seen before (tests/model/ordering.py, twin
    -- `decides_before_the_lock`). In one order for all, so that two callers wait and never deadlock.
    IF EXISTS (SELECT FROM jsonb_array_elements(docs) AS doc WHERE doc ? 'order_key') THEN
        WITH wanted AS MATERIALIZED (
            SELECT DISTINCT ON (order_id) order_id, id FROM headrace.read_jobs(docs)
            WHERE order_id IS NOT NULL ORDER BY order_id, place
        ), locked AS (
            INSERT INTO headrace.order_key AS k (id, turn)
            SELECT order_id, id FROM wanted ORDER BY order_id
            ON CONFLICT (id) DO UPDATE SET turn = k.turn
            RETURNING k.id
        )
        SELECT array_agg(id) INTO keys FROM locked;
    END IF;
    RETURN QUERY
    WITH spec AS MATERIALIZED (
        SELECT s.*, s.doc -> 'flow' AS flow,
               coalesce(jsonb_array_length(coalesce(s.doc -> 'after', '[]')) > 0 OR k.turn <> s.id, false) AS waits
        FROM headrace.read_jobs(docs) AS s LEFT JOIN headrace.order_key k ON k.id = s.order_id
    ), seq AS MATERIALIZED (
        SELECT o.id, nextval('headrace.order_seq') AS seq
        FROM (SELECT id FROM spec WHERE order_id IS NOT NULL ORDER BY place) AS o
    ), link AS MATERIALIZED (
        SELECT s.id AS child, l.id AS parent, l.on_failure, s.id AS mine
        FROM spec s, headrace.links_of(s.doc -> 'after') AS l
        UNION ALL
        SELECT l.id, s.id, l.on_failure, s.id FROM spec s, headrace.links_of(s.doc -> 'before') AS l
    ), fresh AS (
        INSERT INTO headrace.job AS j (id, queue_id, task, priority, max_attempts, rerun_on_crash, tenant,
                                       payload, headers, run_at, state, links)
        SELECT s.id, queue_id, task, priority, max_attempts, rerun, tenant, args,
               CASE WHEN seq.id IS NULL THEN headers
                    ELSE coalesce(headers, '{}') || jsonb_build_object('order', jsonb_build_object(
                        'key', doc ->> 'order_key', 'seq', seq, 'on_dead', on_dead)) END,
               run_at, (waits OR seated)::int,
               (linked OR s.id IN (SELECT parent FROM link))::int + 2 * seated::int
        FROM spec s LEFT JOIN seq ON seq.id = s.id
        ORDER BY s.place
        ON CONFLICT (id) DO NOTHING
        RETURNING j.id, j.queue_id, j.state, j.run_at
    ), tally AS (
        INSERT INTO headrace.counter_delta (queue_id, state, n)
        SELECT queue_id, state,
               CASE WHEN queue_id IN (SELECT q.id FROM headrace.queue q WHERE q.max_depth IS NOT NULL)
                    THEN headrace.within_depth(queue_id, count(*)) ELSE count(*) END
        FROM fresh GROUP BY queue_id, state
    ), places AS (
        INSERT INTO headrace.order_place (job_id, key_id, seq, kept)
        SELECT s.id, s.order_id, seq.seq, s.on_dead = 'block'
        FROM fresh JOIN spec s ON s.id = fresh.id JOIN seq ON seq.id = s.id
    ), edges AS (
        INSERT INTO headrace.edge (child, parent, on_failure)
        SELECT child, parent, on_failure FROM link JOIN fresh ON fresh.id = mine
    ), waiting AS (
        INSERT INTO headrace.blocked (job_id, pending)
        SELECT fresh.id, coalesce(n, 0)
        FROM fresh JOIN spec s ON s.id = fresh.id
        LEFT JOIN (SELECT child, count(*) AS n FROM link GROUP BY child) AS counted
               ON counted.child = fresh.id
        WHERE s.waits
    ), seats AS (
        INSERT INTO headrace.seat AS t (job_id, group_id, due, phase, priority)
        SELECT s.id, headrace.seat_group_id(s.queue_id, s.headers -> 'lines'),
               CASE WHEN s.waits THEN 'infinity' ELSE fresh.run_at END,
               (NOT s.waits AND fresh.run_at <= now())::int, s.priority
        FROM fresh JOIN spec s ON s.id = fresh.id
        WHERE s.seated
        RETURNING t.job_id, t.group_id, t.phase
    ), standing AS (
        -- One of a group tells of all that came with it.
        INSERT INTO headrace.seat_mark (job_id)
        SELECT DISTINCT ON (group_id) job_id FROM seats WHERE phase = 1
    ), elsewhere AS (
        -- That somebody waits for them is known once headrace.unblock has looked at them.
        INSERT INTO headrace.wake (job_id)
        SELECT DISTINCT parent FROM link JOIN fresh ON fresh.id = mine
        WHERE parent NOT IN (SELECT id FROM spec)
    ), flows AS (
        INSERT INTO headrace.flow (id, name)
        SELECT DISTINCT ON (flow ->> 'id') (flow ->> 'id')::uuid, coalesce(flow ->> 'name', '')
        FROM spec WHERE flow IS NOT NULL
        ON CONFLICT (id) DO NOTHING
    ), members AS (
        INSERT INTO headrace.flow_job (flow_id, job_id, step)
        SELECT (flow ->> 'id')::uuid, s.id, coalesce(flow ->> 'step', s.task)
        FROM fresh JOIN spec s ON s.id = fresh.id WHERE flow IS NOT NULL
    )
    SELECT s.place, s.id, coalesce(fresh.state, 1) = 1, s.seated FROM spec s LEFT JOIN fresh ON fresh.id = s.id;
    -- A call that was repeated after its jobs were over has made a key that nobody has a place in.
    DELETE FROM headrace.order_key k WHERE k.id = ANY (keys)
    AND NOT EXISTS (SELECT FROM headrace.order_place p WHERE p.key_id = k.id);
END $$;

-- What `after` and `before` say: ids, or objects of id and on_failure (fail, ignore or wait).
CREATE OR REPLACE FUNCTION headrace.links_of(links jsonb) RETURNS TABLE (id uuid, on_failure text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(link ->> 'id', link #>> '{}')::uuid, coalesce(link ->> 'on_failure', 'fail')
    FROM jsonb_array_elements(links) AS link
$$;

-- Refuses links that cannot be. No cycle: a parent of the same call stands before its child; jobs that
-- are put before one that waits come after nothing that was there already.
CREATE OR REPLACE FUNCTION headrace.check_links(docs jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    odd   record;
    joins uuid[];
BEGIN
    WITH given AS MATERIALIZED (
        SELECT (doc ->> 'id')::uuid AS id, d.place, doc -> 'after' AS after
        FROM jsonb_array_elements(docs) WITH ORDINALITY AS d (doc, place)
    ), link AS MATERIALIZED (
        SELECT given.place, l.id, l.on_failure FROM given, headrace.links_of(given.after) AS l
    )
    SELECT s.place, s.id, s.on_failure, p.place AS parent, p.place IS NULL AS elsewhere INTO odd
    FROM link s LEFT JOIN (SELECT id, place FROM given) AS p ON p.id = s.id
    WHERE p.place >= s.place OR s.on_failure NOT IN ('fail', 'ignore', 'wait')
       OR (p.place IS NULL AND NOT EXISTS (SELECT FROM headrace.job j WHERE j.id = s.id))
    ORDER BY s.place
    LIMIT 1;
    IF odd.parent >= odd.place THEN
        PERFORM headrace.refuse('HR003', 'job %s of the call comes after job %s of it; give parents first',
                                odd.place::text, odd.parent::text);
    ELSIF odd.on_failure NOT IN ('fail', 'ignore', 'wait') THEN
        PERFORM headrace.refuse('HR003', 'on_failure %s is unknown; give fail, ignore or wait',
                                quote_literal(odd.on_failure));
    ELSIF odd.elsewhere THEN
        PERFORM headrace.refuse('HR004', 'job %s, after which another shall run, is not in the ledger; '
                                'it was never committed, or deleted', odd.id::text);
    END IF;
    SELECT array_agg(DISTINCT l.id) INTO joins
    FROM jsonb_array_elements(docs) AS doc, headrace.links_of(doc -> 'before') AS l;
    IF joins IS NULL THEN
        RETURN;
    END IF;
    -- Held until the commit, so that it waits for these, too (tests/model/joins.py, twin
    -- `adds_without_the_lock`); shared, so that nobody else who adds has to wait.
    PERFORM FROM headrace.blocked b WHERE b.job_id = ANY (joins) ORDER BY b.job_id FOR SHARE;
    SELECT id INTO odd FROM unnest(joins) AS id
    WHERE NOT EXISTS (SELECT FROM headrace.blocked b WHERE b.job_id = id) LIMIT 1;
    IF FOUND THEN
        PERFORM headrace.refuse('HR004', 'job %s does not wait any more, so no other can be put before it',
                                odd.id::text);
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(docs) AS doc
               WHERE doc ? 'order_key'
                  OR EXISTS (SELECT FROM headrace.links_of(doc -> 'after') AS l
                             WHERE l.id NOT IN (SELECT (d ->> 'id')::uuid FROM jsonb_array_elements(docs) AS d)))
    THEN
        PERFORM headrace.refuse('HR003', 'jobs that are put before one that waits have no order_key, and '
                                'come after none but each other: they might wait for it');
    END IF;
END $$;
