-- lane_calm: all who worked under an earlier epoch have stopped or said what they hold. $1 epoch.
UPDATE headrace.lane SET calm = true WHERE name = 'main' AND epoch = $1 AND NOT calm
