-- verify_streams: a stream has each event between what is gone and its last one.
-- $1 how many to walk or null, $2 how many to show.
SELECT s.name AS subject,
       format('%s events between %s and %s', count(e.id), s.gone, s.last) AS detail
FROM (SELECT * FROM headrace.stream LIMIT $1) AS s
LEFT JOIN headrace.stream_event e ON e.stream = s.name AND e.id > s.gone
GROUP BY s.name, s.gone, s.last
HAVING count(e.id) <> s.last - s.gone OR coalesce(max(e.id), s.last) <> s.last
LIMIT $2
