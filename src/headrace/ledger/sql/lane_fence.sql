-- lane_fence: the lane refuses earlier epochs since before this statement: rows of transactions
-- that begin from here on cannot lie in them. $1 epoch, $2 the mode from now on.
UPDATE headrace.lane SET fence = coalesce(fence, pg_snapshot_xmax(pg_current_snapshot())), mode = $2
WHERE name = 'main' AND epoch = $1 AND (mode = $2 OR mode = 'rebuild' AND $2 = 'hybrid')
RETURNING epoch, mode, held, voted, calm, fence::text AS fence, ledger, tide, mark,
          headrace.promises() AS promises
