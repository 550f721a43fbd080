-- put_stream_events: events for streams, [{"stream", "kind", "data"}]; returns
-- the ids, of each stream in the order in which they were given.
-- The row of a stream is taken until the commit, those of several in the order of their names. A new
-- one begins at the microseconds of its first event, so that its ids are above those of one of this
-- name that was forgotten. 1,000 events are kept; what is older goes a hundred at a time.
CREATE OR REPLACE FUNCTION headrace.put_stream_events(events jsonb)
RETURNS TABLE (stream text, id bigint) LANGUAGE sql AS $$
    WITH told AS (
        SELECT t.place, e ->> 'stream' AS stream, e ->> 'kind' AS kind, e -> 'data' AS data,
               row_number() OVER (PARTITION BY e ->> 'stream' ORDER BY t.place) AS nth
        FROM jsonb_array_elements(events) WITH ORDINALITY AS t (e, place)
    ), more AS (
        SELECT c.stream, c.n, floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS start
        FROM (SELECT told.stream, count(*) AS n FROM told GROUP BY told.stream) AS c
        ORDER BY c.stream
    ), moved AS (
        INSERT INTO headrace.stream AS s (name, last, gone)
        SELECT more.stream, more.start + more.n, more.start FROM more
        ON CONFLICT (name) DO UPDATE
        SET last = s.last + excluded.last - excluded.gone,
            gone = greatest(s.gone, s.last + excluded.last - excluded.gone - 1000)
        RETURNING s.name, s.last, s.gone
    ), trimmed AS (
        DELETE FROM headrace.stream_event e
        USING moved JOIN more ON more.stream = moved.name
        WHERE moved.last % 100 < more.n AND e.stream = moved.name AND e.id <= moved.gone
    )
    INSERT INTO headrace.stream_event AS e (stream, id, kind, at, data)
    SELECT told.stream, moved.last - more.n + told.nth, told.kind, clock_timestamp(), told.data
    FROM told JOIN more ON more.stream = told.stream JOIN moved ON moved.name = told.stream
    ORDER BY told.place
    RETURNING e.stream, e.id
$$;
