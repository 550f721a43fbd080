-- prune_streams: forget events of a day ago, of streams that nobody publishes to just now.
-- $1 how many streams at most, $2 how many seconds they are kept. Returns a row for each.
WITH old AS (
    SELECT e.stream, max(e.id) AS id
    FROM (SELECT * FROM headrace.stream_event WHERE at < now() - $2 * interval '1 second'
          ORDER BY at LIMIT $1 * 10) AS e
    GROUP BY e.stream
), held AS (
    SELECT s.name, old.id FROM old JOIN headrace.stream s ON s.name = old.stream
    ORDER BY s.name
    LIMIT $1
    FOR UPDATE OF s SKIP LOCKED
), moved AS (
    UPDATE headrace.stream s SET gone = greatest(s.gone, held.id)
    FROM held WHERE s.name = held.name
    RETURNING s.name, s.gone
)
DELETE FROM headrace.stream_event e USING moved
WHERE e.stream = moved.name AND e.id <= moved.gone
RETURNING e.stream
