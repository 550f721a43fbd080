-- lane_view: how the lane is now, for all who give out or carry jobs.
SELECT epoch, mode, held, voted, calm, fence::text AS fence, ledger, tide, mark,
       headrace.promises() AS promises
FROM headrace.lane WHERE name = 'main'
