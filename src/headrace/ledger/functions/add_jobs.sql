-- Inserts what headrace.insert_jobs takes, and says which jobs wait for others. Besides, a document may have before (like after: jobs that
-- wait, and shall wait for this one, too) and flow (an object of id, name and step).
CREATE OR REPLACE FUNCTION headrace.add_jobs(docs jsonb)
RETURNS TABLE (place int, job_id uuid, duplicate boolean, blocked boolean)
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
#variable_conflict use_column
DECLARE
    spec   record;
    winner uuid;
BEGIN
    IF EXISTS (SELECT FROM jsonb_array_elements(docs) AS doc WHERE doc ->> 'id' IS NULL) THEN
        docs := (SELECT jsonb_agg(CASE WHEN doc ->> 'id' IS NULL AND jsonb_typeof(doc) = 'object'
                                       THEN doc || jsonb_build_object('id', headrace.uuid7()) ELSE doc END
                                  ORDER BY d.place)
                 FROM jsonb_array_elements(docs) WITH ORDINALITY AS d (doc, place));
    END IF;
    IF NOT EXISTS (SELECT FROM jsonb_array_elements(docs) AS doc WHERE doc ?| '{unique,idempotency_key}') THEN
        RETURN QUERY SELECT p.place, p.job_id, false, p.blocked FROM headrace.put_jobs(docs) AS p;
        RETURN;
    END IF;
    -- In one order for all, so that two callers with the same keys wait and never deadlock.
    FOR spec IN SELECT * FROM headrace.read_jobs(docs) ORDER BY key NULLS FIRST, place LOOP
        winner := spec.id;
        IF spec.key IS NOT NULL THEN
            winner := headrace.take_key(spec.key, spec.id, spec.key_until, spec.holds_until,
                                        spec.on_conflict, spec.args, spec.run_at);
        END IF;
        blocked := false;
        IF winner = spec.id THEN
            SELECT p.blocked INTO blocked FROM headrace.put_jobs(jsonb_build_array(spec.doc)) AS p;
        END IF;
        place := spec.place;
        job_id := winner;
        duplicate := winner <> spec.id;
        RETURN NEXT;
    END LOOP;
END $$;
