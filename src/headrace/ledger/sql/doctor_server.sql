-- doctor_server: the server's version, settings, clock and oldest transaction.
SELECT current_setting('server_version') AS version,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('autovacuum') AS autovacuum,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       (SELECT max(extract(epoch FROM now() - a.xact_start))::float8 FROM pg_stat_activity a
        WHERE a.backend_xmin IS NOT NULL AND a.backend_type = 'client backend'
          AND a.pid <> pg_backend_pid()) AS oldest
