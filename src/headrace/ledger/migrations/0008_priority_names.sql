-- Priorities by name for jobs that come as JSON, as the Python API takes them.

-- The level that a job asks for: 1 to 10 or a name; null where it asks for none.
CREATE FUNCTION headrace.priority_level(task text, given text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE SET search_path = headrace, pg_catalog AS $$
DECLARE
    level CONSTANT text := coalesce(
        '{"critical": 1, "urgent": 1, "high": 3, "normal": 5, "medium": 5, "low": 7,
          "background": 10}'::jsonb ->> lower(given), given);
BEGIN
    IF level !~ '^([1-9]|10)$' THEN
        RAISE EXCEPTION 'task "%": priority "%" is unknown; use 1 (runs first) to 10, or one of '
            'critical, urgent, high, normal, medium, low, background', task, given
            USING ERRCODE = 'HR003';
    END IF;
    RETURN level;
END $$;

-- What inserts takes numbers alone; who asks by name gets the number of it.
ALTER FUNCTION headrace.insert_jobs(jsonb) RENAME TO insert_levelled_jobs;

-- docs: as headrace.insert_levelled_jobs takes them (0002), with priorities by name, too.
CREATE FUNCTION headrace.insert_jobs(docs jsonb)
RETURNS TABLE (place int, job_id uuid, duplicate boolean)
LANGUAGE plpgsql SET search_path = headrace, pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM jsonb_array_elements(docs) AS d (doc)
               WHERE doc ->> 'priority' !~ '^([1-9]|10)$') THEN
        docs := (
            SELECT jsonb_agg(
                CASE WHEN doc ->> 'priority' IS NULL THEN doc
                ELSE jsonb_set(doc, '{priority}', to_jsonb(
                    headrace.priority_level(doc ->> 'task', doc ->> 'priority'))) END
                ORDER BY d.place)
            FROM jsonb_array_elements(docs) WITH ORDINALITY AS d (doc, place));
    END IF;
    RETURN QUERY SELECT * FROM headrace.insert_levelled_jobs(docs);
END $$;
