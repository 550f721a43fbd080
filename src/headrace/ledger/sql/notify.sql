-- notify: tell whoever listens now. In a transaction of its own, as `ring`, and for the same reason.
-- $1 channels, $2 payloads.
SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel, payload)
FROM unnest($1::text[], $2::text[]) AS told (channel, payload)
