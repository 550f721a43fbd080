-- What a document of insert_jobs says of uniqueness, with its defaults; null if nothing. An idempotency
-- key is a key for a window.
CREATE OR REPLACE FUNCTION headrace.uniqueness(doc jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    said     jsonb := nullif(doc -> 'unique', 'null');
    conflict text := coalesce(said ->> 'on_conflict', 'return');
    odd      text;
BEGIN
    IF doc ->> 'idempotency_key' IS NOT NULL AND said IS NULL THEN
        RETURN jsonb_build_object('key', doc ->> 'idempotency_key', 'until', 'window', 'on_conflict', 'return',
                                  'for', coalesce((doc ->> 'idempotency_for')::float8, 86400));
    END IF;
    IF said IS NULL THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(said) = 'object' THEN
        odd := (SELECT min(name) FROM jsonb_object_keys(said) AS name
                WHERE name <> ALL ('{key,by,until,for,per_queue,on_conflict}'));
    END IF;
    IF jsonb_typeof(said) <> 'object' OR odd IS NOT NULL OR doc ->> 'idempotency_key' IS NOT NULL
       OR said ->> 'until' NOT IN ('queued', 'started', 'done')
       OR conflict NOT IN ('return', 'ignore', 'raise', 'replace', 'debounce')
       OR (conflict IN ('replace', 'debounce') AND coalesce(said ->> 'until', '') NOT IN ('queued', 'started'))
       OR (said ? 'key' AND said ? 'by')
       OR (said ->> 'for')::float8 <= 0
       OR jsonb_typeof(said -> 'key') <> 'string'
       OR jsonb_typeof(said -> 'per_queue') <> 'boolean'
       OR jsonb_typeof(said -> 'by') <> 'array' OR said -> 'by' = '[]' THEN
        RAISE EXCEPTION 'task "%": unique is %; give key or by, until (queued, started or done), for '
            '(seconds), per_queue, on_conflict (return, ignore or raise; replace or debounce with until '
            'queued or started), and no idempotency_key', doc ->> 'task', said USING ERRCODE = 'HR003';
    END IF;
    RETURN jsonb_build_object('until', CASE WHEN said ? 'for' THEN 'window' ELSE 'done' END) || said
           || jsonb_build_object('on_conflict', conflict);
END $$;

-- The key of a unique job: SHA-256 of tenant, task and what it is unique by, a line each, in UTF-8. That
-- is the key that was given, or the arguments as PostgreSQL writes jsonb: all, or those named in `by`
-- (null for one that is not there). Where each queue has keys of its own: SHA-256 of that and the queue.
CREATE OR REPLACE FUNCTION headrace.unique_key(
    said jsonb, tenant text, task text, queue text, args jsonb
) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN said -> 'per_queue' = 'true' THEN sha256(key || convert_to(queue, 'UTF8'))
                ELSE key END
    FROM sha256(convert_to(tenant || E'\n' || task || E'\n' || coalesce(
        said ->> 'key',
        (SELECT jsonb_object_agg(name, args -> name)::text
         FROM jsonb_array_elements_text(said -> 'by') AS name),
        args::text), 'UTF8')) AS key
    WHERE said IS NOT NULL
$$;
