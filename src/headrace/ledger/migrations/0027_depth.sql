-- How many jobs a queue may hold that are not over (functions/depth.sql). Null: any number.
ALTER TABLE headrace.queue
    ADD COLUMN max_depth int CHECK (max_depth >= 0),
    ADD COLUMN depth_overridden boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN headrace.queue.max_depth IS 'how many jobs that are not over it may hold; null: any number';
COMMENT ON COLUMN headrace.queue.depth_overridden IS 'an operator has said that, so no application does';
-- Empty while no queue has a limit: what an insert looks into.
CREATE INDEX queue_depth ON headrace.queue (id) WHERE max_depth IS NOT NULL;
