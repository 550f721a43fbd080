-- Each worker tells its own lease, by which everybody judges it. Those of earlier versions tell none:
-- they had to have the lease of whoever judges them.
ALTER TABLE headrace.worker ADD COLUMN lease float8 CHECK (lease > 0);
COMMENT ON COLUMN headrace.worker.lease IS 'seconds that it may be silent';
