-- Inserts what headrace.insert_jobs takes, and says which jobs wait for others or for seats. Besides, a document may have
-- before (like after: jobs that wait, and shall wait for this one, too) and flow (an object of id, name and
-- step).
DROP FUNCTION IF EXISTS headrace.add_jobs(jsonb);  -- what it returns has grown with 0025
CREATE OR REPLACE FUNCTION headrace.add_jobs(docs jsonb)
RETURNS TABLE (place int, job_id uuid, duplicate boolean, blocked boolean, seated boolean)
LANGUAGE plpgsql SET search_path = headrace, pg_catalog SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    nameless boolean;
    keyed    boolean;
    linked   boolean;
    spec     record;
BEGIN
    SELECT bool_or(doc ->> 'id' IS NULL), bool_or(doc ?| '{unique,idempotency_key}'),
           bool_or(doc ?| '{order_key,after,before,flow}') OR EXISTS (SELECT FROM line_rule)
    INTO nameless, keyed, linked
    FROM jsonb_array_elements(docs) AS doc;
    IF nameless THEN
        docs := (SELECT jsonb_agg(CASE WHEN doc ->> 'id' IS NULL AND jsonb_typeof(doc) = 'object'
                                       THEN doc || jsonb_build_object('id', headrace.uuid7()) ELSE doc END
                                  ORDER BY d.place)
                 FROM jsonb_array_elements(docs) WITH ORDINALITY AS d (doc, place));
    END IF;
    IF NOT keyed THEN
        IF linked THEN
            RETURN QUERY SELECT p.place, p.job_id, false, p.blocked, p.seated FROM headrace.put_linked_jobs(docs) AS p;
            RETURN;
        END IF;
        RETURN QUERY SELECT p.place, p.job_id, false, false, false FROM headrace.put_jobs(docs) AS p;
        RETURN;
    END IF;
    -- In one order for all, so that two callers with the same keys wait and never deadlock.
    FOR spec IN SELECT * FROM headrace.read_jobs(docs) ORDER BY key NULLS FIRST, place LOOP
        place := spec.place;
        job_id := spec.id;
        blocked := false;
        seated := false;
        IF spec.key IS NOT NULL THEN
            job_id := headrace.take_key(spec.key, spec.id, spec.key_until, spec.holds_until,
                                        spec.on_conflict, spec.args, spec.run_at);
        END IF;
        duplicate := job_id <> spec.id;
        IF NOT duplicate AND (spec.linked OR spec.seated) THEN
            SELECT p.blocked, p.seated INTO blocked, seated FROM headrace.put_linked_jobs(jsonb_build_array(spec.doc)) AS p;
        ELSIF NOT duplicate THEN
            PERFORM headrace.put_jobs(jsonb_build_array(spec.doc));
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
