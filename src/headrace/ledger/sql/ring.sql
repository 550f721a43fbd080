-- ring: tell all who listen that these queues have new jobs. Of its own transaction, never that of
-- an insert: NOTIFY takes one lock for the whole cluster when it commits. Nothing is lost with it,
-- so the commit need not wait for the disk. $1 queues.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('headrace', queue)
FROM unnest($1::text[]) AS queue
