-- lane_calm: all who worked under an earlier epoch have stopped or said what they hold: after a grace,
-- or, in direct mode, as soon as every living worker has said so (tests/model/lane_switch.py; the twin
-- `calm_by_majority` runs a job twice).
-- $1 epoch, $2 whether only if all have said so.
UPDATE headrace.lane SET calm = true
WHERE name = 'main' AND epoch = $1 AND NOT calm
  AND (NOT $2 OR mode = 'direct' AND NOT EXISTS (
      SELECT FROM headrace.worker WHERE reaped_at IS NULL AND heeds IS DISTINCT FROM $1))
