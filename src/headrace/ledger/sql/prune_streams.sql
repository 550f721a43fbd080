-- prune_streams: forget events of a day ago, of streams that nobody publishes to just now; a stream
-- that has no others goes with them.
-- $1 how many streams at most, $2 for how many seconds they are kept. A row for each event.
WITH old AS (
    SELECT e.stream, max(e.id) AS id
    FROM (SELECT * FROM headrace.stream_event WHERE at < now() - $2 * interval '1 second'
          ORDER BY at LIMIT $1::int * 10) AS e
    GROUP BY e.stream
), held AS (
    SELECT s.name, old.id, s.last FROM old JOIN headrace.stream s ON s.name = old.stream
    ORDER BY s.name
    LIMIT $1
    FOR UPDATE OF s SKIP LOCKED
), moved AS (
    UPDATE headrace.stream s SET gone = greatest(s.gone, held.id)
    FROM held WHERE s.name = held.name AND held.id < held.last
), emptied AS (
    DELETE FROM headrace.stream s USING held WHERE s.name = held.name AND held.id >= held.last
)
DELETE FROM headrace.stream_event e USING held
WHERE e.stream = held.name AND e.id <= held.id
RETURNING e.stream
