-- replay: dead letters are available again, once. $1 ids, $2 actor.
SELECT id FROM headrace.revive($1::uuid[], '{3}', $2) AS id
