-- forget_streams: those that have no events and had none for long. $1 seconds.
DELETE FROM headrace.stream
WHERE name IN (SELECT name FROM headrace.stream
               WHERE last = gone AND at < now() - $1 * interval '1 second'
               ORDER BY name LIMIT 1000 FOR UPDATE SKIP LOCKED)
