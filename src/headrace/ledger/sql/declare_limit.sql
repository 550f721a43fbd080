-- declare_limit: what an application says of a limit, unless an operator has said something else.
-- $1 name, $2 most starts, $3 spans in microseconds of each.
INSERT INTO headrace.rate_limit AS l (name, most, spans) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE
SET most = excluded.most, spans = excluded.spans, changed_at = clock_timestamp()
WHERE NOT l.overridden AND (l.most, l.spans) IS DISTINCT FROM (excluded.most, excluded.spans)
