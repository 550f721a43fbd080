-- What a queue promises of its jobs (docs/promises.md). Null: nobody has said anything, so the standard.
ALTER TABLE headrace.queue ADD COLUMN promise text
    CHECK (promise IN ('standard', 'strict', 'loss-tolerant'));
COMMENT ON COLUMN headrace.queue.promise IS 'what it promises of its jobs; null is standard';
CREATE INDEX queue_promise ON headrace.queue (name) INCLUDE (promise) WHERE promise <> 'standard';

-- The queues that promise something else than the standard: an object of promises by name, or null.
CREATE FUNCTION headrace.promises() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(name, promise)::text FROM headrace.queue WHERE promise <> 'standard'
$$;

-- Whether all of these queues may lose the last moments before PostgreSQL crashes.
CREATE FUNCTION headrace.may_lose(queue_ids int[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_and(promise IS NOT DISTINCT FROM 'loss-tolerant'), false)
    FROM headrace.queue WHERE id = ANY (queue_ids)
$$;
