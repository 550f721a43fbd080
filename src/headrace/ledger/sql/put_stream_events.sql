-- put_stream_events: events for streams, all or none, from any transaction.
-- $1 [{"stream", "kind", "data"}]. Returns stream, id.
SELECT stream, id FROM headrace.put_stream_events(CAST($1 AS jsonb))
