-- set_limit: what an operator says of a limit. $1 name, $2 most starts, $3 spans in microseconds of
-- each. Windows of other spans are forgotten, and the lines of who waited: they ask again. Returns a
-- row where it is new.
WITH gone AS (
    DELETE FROM headrace.rate_window WHERE name = $1 AND span <> ALL ($3::bigint[])
), anew AS (
    UPDATE headrace.rate_window SET lines = ARRAY[log, log], ripple = 0
    WHERE name = $1 AND span = ANY ($3::bigint[])
)
INSERT INTO headrace.rate_limit AS l (name, most, spans, overridden) VALUES ($1, $2, $3, true)
ON CONFLICT (name) DO UPDATE
SET most = excluded.most, spans = excluded.spans, overridden = true, changed_at = clock_timestamp()
WHERE (l.most, l.spans) IS DISTINCT FROM (excluded.most, excluded.spans)
RETURNING name
