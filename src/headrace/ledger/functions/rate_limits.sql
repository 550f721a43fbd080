-- Rate limits: a sliding log a window. In any window of a limit's length, open at one end, no more
-- starts than the limit says: an entry of the log counts until its last mark is a whole span old.
-- Times are microseconds of PostgreSQL's clock; a log never goes back behind its last mark.

-- The first instant, from `since` on, at which the log has no more than `room` in the span before it.
CREATE OR REPLACE FUNCTION headrace.rate_instant(log headrace.rate_log, span bigint, room int, since bigint)
RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    last   int    := cardinality(log.lasts);
    first  bigint := greatest(since, log.lasts[last]);
    counts int    := 0;
BEGIN
    FOR i IN REVERSE last..1 LOOP
        EXIT WHEN log.lasts[i] + span <= first;
        counts := counts + log.counts[i];
        IF counts > room THEN
            RETURN log.lasts[i] + span;
        END IF;
    END LOOP;
    RETURN first;
END $$;

-- The log with a mark more, without what no window from there on reaches. Marks within a 64th of the
-- span share an entry, so that it has no more than some 65 of them, however high the limit is.
CREATE OR REPLACE FUNCTION headrace.rate_mark(log headrace.rate_log, span bigint, at bigint, weight int)
RETURNS headrace.rate_log LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    last int := cardinality(log.lasts);
    gone int := 0;
BEGIN
    IF last > 0 AND at - log.firsts[last] < span / 64 THEN
        log.lasts[last] := at;
        log.counts[last] := log.counts[last] + weight;
    ELSE
        log.firsts := log.firsts || at;
        log.lasts := log.lasts || at;
        log.counts := log.counts || weight;
    END IF;
    WHILE log.lasts[gone + 1] + span <= at LOOP
        gone := gone + 1;
    END LOOP;
    IF gone > 0 THEN
        log := ROW(log.firsts[gone + 1:], log.lasts[gone + 1:], log.counts[gone + 1:]);
    END IF;
    RETURN log;
END $$;

-- Lock the windows of these limits and keys, in one order for all; those that are new are made.
CREATE OR REPLACE FUNCTION headrace.rate_lock(names text[], keys text[]) RETURNS void
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
BEGIN
    INSERT INTO rate_window (name, key, span)
    SELECT DISTINCT l.name, asked.key, one.span
    FROM unnest(names, keys) AS asked (name, key)
    JOIN rate_limit l ON l.name = asked.name, unnest(l.spans) AS one (span)
    WHERE NOT EXISTS (SELECT FROM rate_window w
                      WHERE w.name = l.name AND w.key = asked.key AND w.span = one.span)
    ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
    PERFORM FROM rate_window w
    WHERE (w.name, w.key) IN (SELECT * FROM unnest(names, keys))
    ORDER BY w.name, w.key, w.span
    FOR UPDATE;
END $$;

-- Which of these jobs may start, and when: at once or up to `hold` microseconds from now. All others
-- are put off, each once: to the instant at which it is its turn, if all before it start in time. That
-- uses no attempt. asked: an array of {id, gen, urgent, waited, limits: [[name, key, weight]...]}.
-- waited: it was put off before, so has its place in the lines. A limit that is not there limits nothing.
CREATE OR REPLACE FUNCTION headrace.admit(asked jsonb, hold bigint)
RETURNS TABLE (place int, put_off boolean, wait float8)
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
DECLARE
    windows rate_window[];
    mosts   int[];
    w       rate_window;
    ask     record;
    i       int;
    n       int;
    now_us  bigint;
    start   bigint;
    turn    bigint;
    late    boolean;
    ids     uuid[] := '{}';
    gens    int[] := '{}';
    dues    bigint[] := '{}';
    waits   jsonb := '[]';
BEGIN
    PERFORM rate_lock(array_agg(u ->> 0), array_agg(u ->> 1))
    FROM jsonb_array_elements(asked) AS doc, jsonb_array_elements(doc -> 'limits') AS u;
    -- Only now: who waited for the lock must not come before what was marked meanwhile (tests/model,
    -- twin `clock_before_lock`).
    now_us := extract(epoch FROM clock_timestamp()) * 1000000;
    SELECT array_agg(one ORDER BY one.name, one.key, one.span),
           array_agg(l.most[array_position(l.spans, one.span)] ORDER BY one.name, one.key, one.span)
    INTO windows, mosts
    FROM rate_window one JOIN rate_limit l ON l.name = one.name AND one.span = ANY (l.spans)
    WHERE (one.name, one.key) IN (
        SELECT u ->> 0, u ->> 1
        FROM jsonb_array_elements(asked) AS doc, jsonb_array_elements(doc -> 'limits') AS u);

    FOR ask IN
        SELECT d.place::int AS place, (d.doc ->> 'id')::uuid AS id, (d.doc ->> 'gen')::int AS gen,
               (d.doc ->> 'urgent')::boolean AS urgent, (d.doc ->> 'waited')::boolean AS waited,
               coalesce(used.places, '{}') AS places, used.weights, used.names
        FROM jsonb_array_elements(asked) WITH ORDINALITY AS d (doc, place), LATERAL (
            SELECT array_agg(mine.ordinality::int) AS places,
                   array_agg(least((u ->> 2)::int, mosts[mine.ordinality])) AS weights,
                   jsonb_agg(DISTINCT u ->> 0) AS names
            FROM jsonb_array_elements(d.doc -> 'limits') AS u
            JOIN unnest(windows) WITH ORDINALITY AS mine ON mine.name = u ->> 0 AND mine.key = u ->> 1
        ) AS used
        ORDER BY d.place
    LOOP
        -- While nobody else starts there is only ever more room, so the latest instant suits all.
        start := now_us;
        turn := now_us;
        FOR n IN 1..cardinality(ask.places) LOOP
            i := ask.places[n];
            w := windows[i];
            start := rate_instant(w.log, w.span, mosts[i] - ask.weights[n], greatest(start, w.rests_until));
            FOR class IN 1..2 LOOP
                -- Nobody waits any more: the line begins where the log ends.
                IF coalesce((w.lines[class]).lasts[cardinality((w.lines[class]).lasts)], 0)
                   <= greatest(now_us, (w.log).lasts[cardinality((w.log).lasts)]) THEN
                    w.lines[class] := w.log;
                END IF;
            END LOOP;
            windows[i] := w;
            turn := rate_instant(w.lines[2 - ask.urgent::int], w.span, mosts[i] - ask.weights[n],
                                 greatest(turn, start));
        END LOOP;
        turn := greatest(turn, start);

        IF NOT ask.waited THEN
            start := turn;  -- not before those who wait
        END IF;
        put_off := start > now_us + hold;
        late := put_off AND ask.waited;
        IF put_off THEN
            -- One that came too late for its turn gets the next start, unless another one has: many
            -- would come again and again.
            FOR n IN 1..cardinality(ask.places) LOOP
                late := late AND (windows[ask.places[n]]).ripple < start;
            END LOOP;
            IF NOT late THEN
                start := turn;
            END IF;
            ids := ids || ask.id;
            gens := gens || ask.gen;
            dues := dues || start;
            waits := waits || jsonb_build_array(ask.names);
        END IF;
        FOR n IN 1..cardinality(ask.places) LOOP
            i := ask.places[n];
            w := windows[i];
            IF NOT put_off THEN
                w.log := rate_mark(w.log, w.span, start, ask.weights[n]);
            ELSIF late THEN
                w.ripple := start;
            END IF;
            IF NOT ask.waited OR (put_off AND NOT late) THEN
                FOR class IN (2 - ask.urgent::int)..2 LOOP
                    turn := greatest(start, (w.lines[class]).lasts[cardinality((w.lines[class]).lasts)]);
                    w.lines[class] := rate_mark(w.lines[class], w.span, turn, ask.weights[n]);
                END LOOP;
            END IF;
            windows[i] := w;
        END LOOP;
        place := ask.place;
        wait := (start - now_us) / 1000000.0;
        RETURN NEXT;
    END LOOP;

    UPDATE rate_window t SET log = one.log, lines = one.lines, ripple = one.ripple
    FROM unnest(windows) AS one
    WHERE t.name = one.name AND t.key = one.key AND t.span = one.span;
    -- Another generation and another xid, as after a retry: no lane has that one yet.
    UPDATE job j
    SET owner = NULL, claim_no = NULL, started_at = NULL, gen = j.gen + 1, xid = pg_current_xact_id(),
        run_at = to_timestamp(v.due / 1000000.0),
        headers = coalesce(j.headers, '{}')
                  || jsonb_build_object('limits', coalesce(j.headers -> 'limits', '{}') || jsonb_build_object('waited', v.names))
    FROM unnest(ids, gens, dues) WITH ORDINALITY AS u (id, gen, due, place), LATERAL (
        SELECT u.id, u.gen, u.due, waits -> (u.place - 1)::int AS names
    ) AS v
    WHERE j.id = v.id AND j.gen = v.gen AND j.state = 0;
END $$;

-- Nothing starts under these limits and keys for so long.
CREATE OR REPLACE FUNCTION headrace.rest(names text[], keys text[], seconds float8) RETURNS void
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
BEGIN
    PERFORM rate_lock(names, keys);
    UPDATE rate_window w
    SET rests_until = greatest(w.rests_until, (extract(epoch FROM clock_timestamp()) + seconds) * 1000000)
    WHERE (w.name, w.key) IN (SELECT * FROM unnest(names, keys));
END $$;
