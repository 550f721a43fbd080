-- clock: the clock of the ledger and the version of its server.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
       current_setting('server_version_num')::int AS version
