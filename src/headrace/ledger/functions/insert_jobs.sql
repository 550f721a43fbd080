-- Inserting from a transaction that is not ours: one JSON parameter, which every driver can pass.

-- docs: an array of objects with task and args, and optionally id, queue, priority, max_attempts,
-- delay (seconds), run_at, idempotency_key, idempotency_for (seconds), unique, tenant, rerun_on_crash,
-- headers (what features of headrace itself say). Priorities by number or name.
-- unique: an object, all of it optional, of key or by (names of arguments), until (queued, started or
-- done), for (seconds), per_queue, on_conflict (return, ignore, raise, replace, debounce).
CREATE OR REPLACE FUNCTION headrace.insert_jobs(docs jsonb)
RETURNS TABLE (place int, job_id uuid, duplicate boolean)
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
DECLARE
    spec   record;
    winner uuid;
    odd    text;
    known  CONSTANT text[] := '{task,args,id,queue,priority,max_attempts,delay,run_at,'
        'idempotency_key,idempotency_for,unique,tenant,rerun_on_crash,headers}';
BEGIN
    FOR spec IN
        SELECT d.place::int AS place, d.doc, q.id AS queue_id,
               coalesce(d.doc ->> 'queue', '') AS queue_name,
               d.doc ->> 'task' AS task_name, t.name IS NOT NULL AS declared,
               coalesce((d.doc ->> 'id')::uuid, headrace.uuid7()) AS id,
               coalesce(headrace.priority_level(d.doc ->> 'task', d.doc ->> 'priority'), t.priority) AS priority,
               coalesce((d.doc ->> 'max_attempts')::smallint, t.max_attempts) AS max_attempts,
               coalesce((d.doc ->> 'rerun_on_crash')::boolean, t.rerun_on_crash, false) AS rerun,
               coalesce(d.doc ->> 'tenant', '') AS tenant,
               coalesce(d.doc -> 'args', '{}') AS args,
               nullif(d.doc -> 'headers', 'null') AS headers,
               greatest((d.doc ->> 'run_at')::timestamptz,
                        now() + (d.doc ->> 'delay')::float8 * interval '1 second', now()) AS run_at,
               said ->> 'until' AS mode, said ->> 'on_conflict' AS on_conflict,
               coalesce(now() + (said ->> 'for')::float8 * interval '1 second', 'infinity') AS until,
               headrace.unique_key(said, coalesce(d.doc ->> 'tenant', ''), d.doc ->> 'task', q.name,
                                   coalesce(d.doc -> 'args', '{}')) AS key
        FROM jsonb_array_elements(docs) WITH ORDINALITY AS d (doc, place)
        CROSS JOIN LATERAL headrace.uniqueness(d.doc) AS said
        LEFT JOIN headrace.task t ON t.name = d.doc ->> 'task'
        LEFT JOIN headrace.queue q
               ON CASE WHEN d.doc ? 'queue' THEN q.name = d.doc ->> 'queue' ELSE q.id = t.queue_id END
        -- One order for all, so that two callers with the same keys wait and never deadlock.
        ORDER BY key NULLS FIRST, d.place
    LOOP
        odd := (SELECT min(key) FROM jsonb_object_keys(spec.doc) AS key WHERE key <> ALL (known));
        IF odd IS NOT NULL THEN
            RAISE EXCEPTION '"%" is no option of a job; known: %', odd, array_to_string(known, ', ')
                USING ERRCODE = 'HR003';
        END IF;
        IF spec.task_name IS NULL OR spec.task_name !~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$' THEN
            RAISE EXCEPTION 'task name % is not allowed; use 1 to 100 letters, digits and . _ : -',
                coalesce(quote_literal(spec.task_name), 'null') USING ERRCODE = 'HR001';
        END IF;
        IF spec.queue_id IS NULL AND spec.doc ? 'queue' THEN
            RAISE EXCEPTION 'queue "%" is unknown; a task must declare it or an operator create it',
                spec.queue_name USING ERRCODE = 'HR002';
        END IF;
        IF NOT spec.declared AND (spec.queue_id IS NULL OR spec.priority IS NULL
                                  OR spec.max_attempts IS NULL) THEN
            RAISE EXCEPTION 'task "%" is unknown; start its application once so that it is declared',
                spec.task_name USING ERRCODE = 'HR001';
        END IF;
        IF spec.priority NOT BETWEEN 1 AND 10 OR spec.max_attempts < 1 THEN
            RAISE EXCEPTION 'task "%": priority % must be 1 to 10 and max_attempts % at least 1',
                spec.task_name, spec.priority, spec.max_attempts USING ERRCODE = 'HR003';
        END IF;
        IF jsonb_typeof(spec.args) <> 'object' OR octet_length(spec.args::text) > 1048576 THEN
            RAISE EXCEPTION 'task "%": args must be a JSON object of at most 1 MiB',
                spec.task_name USING ERRCODE = 'HR003';
        END IF;
        IF abs(extract(epoch FROM headrace.uuid_time(spec.id) - now())) > 3600 THEN
            RAISE EXCEPTION 'job id % is over one hour off the clock of PostgreSQL', spec.id
                USING ERRCODE = 'HR004';
        END IF;

        winner := spec.id;
        IF spec.key IS NOT NULL THEN
            winner := headrace.take_key(spec.key, spec.id, spec.mode, spec.until, spec.on_conflict,
                                        spec.args, spec.run_at);
            -- That it started must be known here, if that ends its hold; by the key `verify` finds two.
            IF spec.mode IN ('queued', 'started') THEN
                spec.headers := coalesce(spec.headers, '{}') || '{"claim": true}';
            END IF;
            IF spec.until = 'infinity' THEN
                spec.headers := coalesce(spec.headers, '{}') || jsonb_build_object(
                    'unique', jsonb_build_object('key', encode(spec.key, 'hex'), 'until', spec.mode));
            END IF;
        END IF;
        IF winner = spec.id THEN
            INSERT INTO headrace.job (id, queue_id, task, priority, max_attempts, rerun_on_crash,
                                      tenant, payload, headers, run_at)
            VALUES (spec.id, spec.queue_id, spec.task_name, spec.priority, spec.max_attempts, spec.rerun,
                    spec.tenant, spec.args, spec.headers, spec.run_at)
            ON CONFLICT (id) DO NOTHING;
            IF FOUND THEN
                INSERT INTO headrace.counter_delta (queue_id, state, n) VALUES (spec.queue_id, 0, 1);
            END IF;
        END IF;
        place := spec.place;
        job_id := winner;
        duplicate := winner <> spec.id;
        RETURN NEXT;
    END LOOP;
END $$;

-- Until 0014 this was its other half. It goes in the same transaction, since enqueues never stop.
DROP FUNCTION IF EXISTS headrace.insert_levelled_jobs(jsonb);
