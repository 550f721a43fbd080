-- Lines: their keys, how many seats they have, and what applications and operators say of them.

CREATE OR REPLACE FUNCTION headrace.hash_of(value text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || substr(encode(sha256(convert_to(value, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint
$$;

-- The key that texts and arguments make, unless the job says one itself; one that is long is cut short.
CREATE OR REPLACE FUNCTION headrace.line_key(
    texts text[], arguments text[], args jsonb, defaults jsonb, said text
) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    key text := '';
BEGIN
    IF said IS NOT NULL AND texts <> '{}' THEN
        key := said;
    ELSE
        FOR i IN 1..cardinality(texts) LOOP
            key := key || texts[i] || coalesce(
                CASE WHEN args ? arguments[i] THEN args ->> arguments[i] ELSE defaults ->> arguments[i] END, '');
        END LOOP;
    END IF;
    IF length(key) > 200 THEN
        key := left(key, 100) || '#' || encode(sha256(convert_to(key, 'UTF8')), 'hex');
    END IF;
    RETURN key;
END $$;

-- As in headrace.order_id: should two lines share one, their jobs wait for each other, and no more.
CREATE OR REPLACE FUNCTION headrace.line_id(line jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT headrace.hash_of(line::text)
$$;

CREATE OR REPLACE FUNCTION headrace.seat_group_id(queue_id int, lines jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT headrace.hash_of(queue_id || E'\n' || lines::text)
$$;

-- How many seats a line has, by its limit and what is said of its key.
CREATE OR REPLACE FUNCTION headrace.width_of(c headrace.concurrency_limit, w headrace.line_width) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN c.fair THEN least(c.width::bigint * coalesce(w.width, 1), 1000000000)::int
                ELSE coalesce(w.width, c.width, 1000000000) END
$$;

-- How many seats of these lines are free. A limit that is not there limits nothing; one that was narrowed has
-- less than none until enough have ended.
CREATE OR REPLACE FUNCTION headrace.free_seats(ids bigint[]) RETURNS TABLE (id bigint, room int)
LANGUAGE sql STABLE AS $$
    SELECT l.id, headrace.width_of(c, w) - l.taken
    FROM headrace.line l
    LEFT JOIN headrace.concurrency_limit c ON c.name = l.name
    LEFT JOIN headrace.line_width w ON w.name = l.name AND w.key = l.key
    WHERE l.id = ANY (ids)
$$;

-- What an application says of concurrency limits (model/concurrency.py). Whoever gives seats meanwhile is
-- waited for, so that it sees all of it or nothing.
CREATE OR REPLACE FUNCTION headrace.declare_lines(said jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
DECLARE
    tasks  text[] := ARRAY(SELECT jsonb_array_elements_text(said -> 'tasks'));
    queues text[] := ARRAY(SELECT jsonb_array_elements_text(said -> 'queues'));
BEGIN
    IF said -> 'limits' = '{}' AND NOT EXISTS (SELECT FROM line_rule r WHERE r.task = ANY (tasks)) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7166418215);
    PERFORM stir_lines(changed.name, NULL) FROM headrace.widths_declared(said -> 'limits', said -> 'weights') AS changed;
    DELETE FROM line_rule r WHERE r.task = ANY (tasks)
        OR r.queue_id IN (SELECT q.id FROM queue q WHERE q.name = ANY (queues));
    INSERT INTO line_rule (name, task, queue_id, texts, arguments, fair)
    SELECT rule ->> 'name', rule ->> 'task', (SELECT q.id FROM queue q WHERE q.name = rule ->> 'queue'),
           ARRAY(SELECT jsonb_array_elements_text(rule -> 'texts')),
           ARRAY(SELECT jsonb_array_elements_text(rule -> 'arguments')), said -> 'weights' ? (rule ->> 'name')
    FROM jsonb_array_elements(said -> 'rules') AS rule;
    UPDATE task t SET key_defaults = said -> 'defaults' -> t.name
    WHERE t.name = ANY (tasks) AND t.key_defaults IS DISTINCT FROM said -> 'defaults' -> t.name;
END $$;

-- Those of these limits whose width, or the weight of some key, is another one from now on. weights: of keys,
-- by the limits that are fair.
CREATE OR REPLACE FUNCTION headrace.widths_declared(widths jsonb, weights jsonb) RETURNS TABLE (name text)
LANGUAGE sql AS $$
    WITH limits AS (
        INSERT INTO headrace.concurrency_limit AS c (name, width, fair)
        SELECT key, value::int, weights ? key FROM jsonb_each_text(widths)
        ON CONFLICT (name) DO UPDATE
        SET width = CASE WHEN c.overridden THEN c.width ELSE excluded.width END, fair = excluded.fair,
            changed_at = clock_timestamp()
        WHERE (NOT c.overridden AND c.width <> excluded.width) OR c.fair <> excluded.fair
        RETURNING c.name
    ), said AS (
        SELECT of_limit.key AS name, one.key, one.value::int AS width
        FROM jsonb_each(weights) AS of_limit, jsonb_each_text(of_limit.value) AS one
    ), gone AS (
        DELETE FROM headrace.line_width w
        WHERE NOT w.overridden AND weights ? w.name
          AND NOT EXISTS (SELECT FROM said s WHERE s.name = w.name AND s.key = w.key)
        RETURNING w.name
    ), keys AS (
        INSERT INTO headrace.line_width AS w (name, key, width, overridden)
        SELECT s.name, s.key, s.width, false FROM said s
        ON CONFLICT (name, key) DO UPDATE SET width = excluded.width, changed_at = clock_timestamp()
            WHERE NOT w.overridden AND w.width <> excluded.width
        RETURNING w.name
    )
    SELECT name FROM limits UNION SELECT name FROM gone UNION SELECT name FROM keys
$$;

-- What an operator says of a limit, or of one key of it (null: of all). Returns whether it is there.
CREATE OR REPLACE FUNCTION headrace.set_width(of_limit text, of_key text, seats int) RETURNS boolean
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7166418215);
    IF of_key IS NULL THEN
        INSERT INTO concurrency_limit AS c (name, width, overridden) VALUES (of_limit, seats, true)
        ON CONFLICT (name) DO UPDATE
        SET width = excluded.width, overridden = true, changed_at = clock_timestamp();
    ELSIF EXISTS (SELECT FROM concurrency_limit c WHERE c.name = of_limit) THEN
        INSERT INTO line_width AS w (name, key, width) VALUES (of_limit, of_key, seats)
        ON CONFLICT (name, key) DO UPDATE
        SET width = excluded.width, overridden = true, changed_at = clock_timestamp();
    ELSE
        RETURN false;
    END IF;
    PERFORM stir_lines(of_limit, NULL);
    RETURN true;
END $$;

-- Forgets a limit, so that it limits nothing any more. Returns whether it was there.
CREATE OR REPLACE FUNCTION headrace.delete_width(of_limit text) RETURNS boolean
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7166418215);
    DELETE FROM concurrency_limit c WHERE c.name = of_limit;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM stir_lines(of_limit, NULL);
    RETURN true;
END $$;

-- Forgets lines and groups in which no job is; whoever comes next makes them anew.
CREATE OR REPLACE FUNCTION headrace.prune_lines() RETURNS void
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM line) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7166418215);
    DELETE FROM seat_group g WHERE NOT EXISTS (SELECT FROM seat s WHERE s.group_id = g.id);
    DELETE FROM line l WHERE NOT EXISTS (SELECT FROM seat_group g WHERE g.lines @> ARRAY[l.id]);
END $$;
