-- snapshot: from where the next sweep reads.
SELECT pg_current_snapshot()::text AS snapshot
