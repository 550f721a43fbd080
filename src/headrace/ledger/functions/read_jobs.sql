-- The documents of insert_jobs, read and checked: whatever a task declares stands where they say nothing.
-- Each has an id.
DROP FUNCTION IF EXISTS headrace.read_jobs(jsonb);  -- what it returns has grown with 0025
CREATE OR REPLACE FUNCTION headrace.read_jobs(docs jsonb)
RETURNS TABLE (
    place int, doc jsonb, id uuid, queue_id int, task text, priority smallint, max_attempts smallint,
    rerun boolean, tenant text, args jsonb, headers jsonb, run_at timestamptz,
    key bytea, key_until text, on_conflict text, holds_until timestamptz,
    order_id bigint, on_dead text, linked boolean, seated boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    known CONSTANT text[] := '{task,args,id,queue,priority,max_attempts,delay,run_at,'
        'idempotency_key,idempotency_for,unique,tenant,rerun_on_crash,headers,'
        'order_key,on_dead,after,before,flow}';
BEGIN
    RETURN QUERY
    WITH given AS (
        SELECT d.place::int AS place, d.doc, (d.doc ->> 'id')::uuid AS id, q.id AS queue_id,
               q.name AS queue, d.doc ->> 'task' AS task, t.name IS NOT NULL AS declared,
               coalesce(headrace.priority_level(d.doc ->> 'task', d.doc ->> 'priority'), t.priority) AS priority,
               coalesce((d.doc ->> 'max_attempts')::smallint, t.max_attempts) AS max_attempts,
               coalesce((d.doc ->> 'rerun_on_crash')::boolean, t.rerun_on_crash, false) AS rerun,
               coalesce(d.doc ->> 'tenant', '') AS tenant,
               coalesce(d.doc -> 'args', '{}') AS args,
               nullif(d.doc -> 'headers', 'null') AS headers,
               greatest((d.doc ->> 'run_at')::timestamptz,
                        now() + (d.doc ->> 'delay')::float8 * interval '1 second', now()) AS run_at,
               CASE WHEN d.doc ?| '{unique,idempotency_key}' THEN headrace.uniqueness(d.doc) END AS said,
               d.doc ->> 'order_key' AS order_key, t.key_defaults
        FROM jsonb_array_elements(docs) WITH ORDINALITY AS d (doc, place)
        LEFT JOIN headrace.task t ON t.name = d.doc ->> 'task'
        LEFT JOIN headrace.queue q
               ON CASE WHEN d.doc ? 'queue' THEN q.name = d.doc ->> 'queue' ELSE q.id = t.queue_id END
    )
    SELECT g.place, g.doc, g.id, g.queue_id, g.task, g.priority, g.max_attempts, g.rerun, g.tenant, g.args,
           -- By these `verify` and workers know what a job is beside itself.
           CASE WHEN g.said IS NULL AND NOT g.doc ? 'flow' AND l.lines IS NULL THEN g.headers ELSE
               nullif(coalesce(g.headers, '{}')
                   || CASE WHEN g.said ->> 'until' IN ('queued', 'started') THEN '{"claim": true}' ELSE '{}' END::jsonb
                   || CASE WHEN NOT g.said ? 'for' THEN jsonb_build_object('unique', jsonb_build_object(
                               'key', encode(k.key, 'hex'), 'until', g.said ->> 'until')) ELSE '{}' END
                   || CASE WHEN g.doc ? 'flow' THEN jsonb_build_object('flow', g.doc -> 'flow' -> 'id')
                           ELSE '{}' END
                   || CASE WHEN l.lines IS NULL THEN '{}' ELSE jsonb_build_object('lines', l.lines) END, '{}')
           END,
           g.run_at, k.key, g.said ->> 'until', g.said ->> 'on_conflict',
           coalesce(now() + (g.said ->> 'for')::float8 * interval '1 second', 'infinity'),
           CASE WHEN g.order_key IS NOT NULL THEN headrace.order_id(g.tenant, g.queue, g.order_key) END,
           coalesce(g.doc ->> 'on_dead', 'block'),
           g.doc ?| '{order_key,after,before,flow}', l.lines IS NOT NULL
    FROM given g,
         -- The lines that it needs a seat in; what its task says of a limit wins over what its queue says.
         LATERAL (SELECT jsonb_agg(
                      CASE WHEN r.fair THEN jsonb_build_array(r.name, headrace.line_key(
                               r.texts, r.arguments, g.args || jsonb_build_object('$tenant', g.tenant),
                               g.key_defaults, NULL), g.priority)
                           ELSE jsonb_build_array(r.name, headrace.line_key(
                               r.texts, r.arguments, g.args, g.key_defaults, g.headers #>> '{limits,key}')) END
                      ORDER BY r.name) AS lines
                  FROM headrace.line_rule r
                  WHERE r.task = g.task OR r.queue_id = g.queue_id AND NOT EXISTS (
                      SELECT FROM headrace.line_rule o WHERE o.task = g.task AND o.name = r.name)) AS l,
         LATERAL (SELECT CASE WHEN g.said IS NOT NULL
                              THEN headrace.unique_key(g.said, g.tenant, g.task, g.queue, g.args) END AS key) AS k
    WHERE CASE
        WHEN EXISTS (SELECT FROM jsonb_object_keys(g.doc) AS name WHERE name <> ALL (known)) THEN
            headrace.refuse('HR003', '"%s" is no option of a job; known: %s',
                   (SELECT min(name) FROM jsonb_object_keys(g.doc) AS name WHERE name <> ALL (known)),
                   array_to_string(known, ', '))
        WHEN g.task IS NULL OR g.task !~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$' THEN
            headrace.refuse('HR001', 'task name %s is not allowed; use 1 to 100 letters, digits and . _ : -',
                   coalesce(quote_literal(g.task), 'null'))
        WHEN g.queue_id IS NULL AND g.doc ? 'queue' THEN
            headrace.refuse('HR002', 'queue "%s" is unknown; a task must declare it or an operator create it',
                   coalesce(g.doc ->> 'queue', ''))
        WHEN NOT g.declared AND (g.queue_id IS NULL OR g.priority IS NULL OR g.max_attempts IS NULL) THEN
            headrace.refuse('HR001', 'task "%s" is unknown; start its application once so that it is declared', g.task)
        WHEN g.max_attempts < 1 THEN
            headrace.refuse('HR003', 'task "%s": priority %s must be 1 to 10 and max_attempts %s at least 1',
                   g.task, g.priority::text, g.max_attempts::text)
        WHEN jsonb_typeof(g.args) <> 'object' OR octet_length(g.args::text) > 1048576 THEN
            headrace.refuse('HR003', 'task "%s": args must be a JSON object of at most 1 MiB', g.task)
        WHEN abs(extract(epoch FROM headrace.uuid_time(g.id) - now())) > 3600 THEN
            headrace.refuse('HR004', 'job id %s is over one hour off the clock of PostgreSQL', g.id::text)
        WHEN g.doc ?| '{order_key,on_dead}' AND (
                 coalesce(length(g.order_key) NOT BETWEEN 1 AND 500, true)
                 OR g.doc ->> 'on_dead' NOT IN ('block', 'skip')) THEN
            headrace.refuse('HR003', 'task "%s": order_key is %s and on_dead %s; give 1 to 500 characters, and block or skip',
                   g.task, coalesce(quote_literal(g.order_key), 'missing'),
                   coalesce(quote_literal(g.doc ->> 'on_dead'), 'missing'))
        ELSE true
    END;
END $$;

CREATE OR REPLACE FUNCTION headrace.refuse(code text, message text, VARIADIC about text[] DEFAULT '{}')
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', format(message, VARIADIC about) USING ERRCODE = code;
END $$;
