-- Each worker tells its own lease, by which everybody judges it. A constant default rewrites nothing;
-- workers of earlier versions have the lease that was the default then.
ALTER TABLE headrace.worker ADD COLUMN lease float8 NOT NULL DEFAULT 15 CHECK (lease > 0);
COMMENT ON COLUMN headrace.worker.lease IS 'seconds that it may be silent';
