-- What a job tells: {"progress": {...}, "log": [{"at", "attempt", "text"}, ...], "dropped": n}.

-- When something was that many seconds ago.
CREATE OR REPLACE FUNCTION headrace.ago(seconds jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char((clock_timestamp() - seconds::float8 * interval '1 second') AT TIME ZONE 'UTC',
                   'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- What is told, with more of an attempt: {"attempt": n, "dropped": n, "log": [[seconds ago, text], ...],
-- "progress": [seconds ago, fraction, message] or null}. The newest 200 lines stay.
CREATE OR REPLACE FUNCTION headrace.told_with(told jsonb, more jsonb) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    WITH line AS (
        SELECT 0 AS part, n, value FROM jsonb_array_elements(told -> 'log') WITH ORDINALITY AS l (value, n)
        UNION ALL
        SELECT 1, n, jsonb_build_object('at', headrace.ago(value -> 0), 'attempt', more -> 'attempt',
                                        'text', value -> 1)
        FROM jsonb_array_elements(more -> 'log') WITH ORDINALITY AS l (value, n)
    ), kept AS (
        SELECT part, n, value FROM line ORDER BY part DESC, n DESC LIMIT 200
    ), heard AS (
        SELECT more -> 'progress' AS progress WHERE jsonb_typeof(more -> 'progress') = 'array'
    )
    SELECT jsonb_build_object(
        'progress', coalesce(
            (SELECT jsonb_build_object('at', headrace.ago(progress -> 0), 'attempt', more -> 'attempt',
                                       'fraction', progress -> 1, 'message', progress -> 2) FROM heard),
            told -> 'progress'),
        'log', coalesce((SELECT jsonb_agg(value ORDER BY part, n) FROM kept), '[]'),
        'dropped', coalesce((told ->> 'dropped')::int, 0) + (more ->> 'dropped')::int
                   + (SELECT count(*) FROM line) - (SELECT count(*) FROM kept))
$$;

-- Whether a line or the message of the progress holds a text, whatever the case of its letters.
CREATE OR REPLACE FUNCTION headrace.tells(told jsonb, wanted text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT strpos(lower(told #>> '{progress,message}'), lower(wanted)) > 0
        OR EXISTS (SELECT FROM jsonb_array_elements(told -> 'log') AS line
                   WHERE strpos(lower(line ->> 'text'), lower(wanted)) > 0)
$$;
