-- Workers that cannot reach the lane vote it out; the ledger gives out jobs once all who live know.
ALTER TABLE headrace.worker ADD COLUMN heeds bigint, ADD COLUMN away_at timestamptz;
COMMENT ON COLUMN headrace.worker.heeds IS
    'epoch of the lane that it goes by: all that it holds of earlier ones is told by its beats';
COMMENT ON COLUMN headrace.worker.away_at IS 'when it last said that it cannot reach the lane';
ALTER TABLE headrace.lane ADD COLUMN voted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN headrace.lane.voted IS 'direct since most workers could not reach the lane';
