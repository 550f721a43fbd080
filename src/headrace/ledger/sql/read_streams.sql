-- read_streams: what came after an id of each stream, and up to which id nothing is kept.
-- $1 streams, $2 ids, $3 how many events of each at most. A row at least for each that is known.
SELECT w.place, s.last, s.gone, e.id, e.kind, e.at, e.data::text AS data
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS w (name, after, place)
JOIN headrace.stream s ON s.name = w.name
LEFT JOIN LATERAL (
    SELECT * FROM headrace.stream_event e
    WHERE e.stream = w.name AND e.id > w.after AND e.id > s.gone
    ORDER BY e.id LIMIT $3
) AS e ON true
ORDER BY w.place, e.id
