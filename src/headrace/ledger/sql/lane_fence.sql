-- lane_fence: the lane refuses earlier epochs since before this statement: rows of transactions
-- that begin from here on cannot lie in them. $1 epoch, $2 the mode from now on.
-- Rows of a dump carry the ids of another server, which may be beyond all of this one: where there
-- are such, nothing is told apart by its id, and all of it waits until it is calm.
UPDATE headrace.lane SET mode = $2, fence = coalesce(fence, greatest(
    pg_snapshot_xmax(pg_current_snapshot()),
    (SELECT (xid::text::bigint + 1)::text::xid8 FROM headrace.job
     WHERE state = 0 AND owner IS NULL AND gen > 0 ORDER BY xid DESC LIMIT 1)))
WHERE name = 'main' AND epoch = $1 AND (mode = $2 OR mode = 'rebuild' AND $2 = 'hybrid')
RETURNING epoch, mode, held, voted, calm, fence::text AS fence, ledger, tide, mark,
          headrace.promises() AS promises
