-- verify_ticks: ticks with two jobs, jobs of ticks that their schedule has not come to, schedules
-- that are due for a minute though a scheduler leads, and those whose jobs are refused.
-- $1 how many jobs to walk or null, $2 how many to show.
WITH tick AS (
    SELECT id, headers -> 'schedule' ->> 'name' AS name,
           (headers -> 'schedule' ->> 'at')::timestamptz AS at
    FROM (SELECT id, headers FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
    WHERE headers ? 'schedule' AND NOT headers -> 'schedule' ? 'by_hand'
)
SELECT name AS subject, 'the tick of ' || at || ' has ' || count(*) || ' jobs, among them ' || min(id::text)
       AS detail
FROM tick GROUP BY name, at HAVING count(*) > 1
UNION ALL
SELECT t.id::text, 'it was made for ' || t.at || ', which schedule ' || t.name || ' has not come to'
FROM tick t JOIN headrace.schedule s ON s.name = t.name
WHERE t.at > s.cursor AND t.id > headrace.uuid_floor(s.created_at)
UNION ALL
SELECT s.name, coalesce('its job is refused: ' || s.error, 'it is due since ' || s.due_at)
FROM headrace.schedule s
WHERE s.due_at IS NOT NULL AND (
    s.error IS NOT NULL
    OR s.due_at < now() - interval '1 minute'
       AND EXISTS (SELECT FROM headrace.leader l WHERE l.role = 'scheduler' AND l.until > now()))
LIMIT $2
