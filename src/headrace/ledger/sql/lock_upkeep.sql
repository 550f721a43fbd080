-- lock_upkeep: one keeper at a time changes partitions; false where another is at it.
SELECT pg_try_advisory_xact_lock(7166418214)
