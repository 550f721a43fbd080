-- verify_standing: jobs that are due and stand in line though all their lines have a free seat; changes that
-- nobody has looked at. $1 unused, $2 how many to show.
SELECT s.job_id::text AS subject, 'it stands in line, and a seat is free' AS detail
FROM headrace.seat_group g JOIN headrace.queue q ON q.id = g.queue_id AND NOT q.paused, LATERAL (
    SELECT job_id FROM headrace.seat WHERE group_id = g.id AND phase = 1 LIMIT 1
) AS s
WHERE (SELECT min(room) FROM headrace.free_seats(g.lines)) > 0 AND $1::int IS NOT DISTINCT FROM $1
UNION ALL
SELECT job_id::text, 'it is due, and does not stand in line'
FROM headrace.seat WHERE phase = 0 AND due < now() - interval '5 seconds'
UNION ALL
SELECT job_id::text, 'nobody has looked at how it changed' FROM headrace.seat_mark
UNION ALL
SELECT s.job_id::text, 'it stands in lines that nobody knows'
FROM headrace.seat s WHERE s.phase > 0 AND NOT EXISTS (SELECT FROM headrace.seat_group g WHERE g.id = s.group_id)
LIMIT $2
