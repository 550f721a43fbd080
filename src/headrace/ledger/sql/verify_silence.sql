-- verify_silence: workers that nobody reaped though they are silent for a minute and for four leases,
-- and reaped ones that still own.
-- $1 how many to walk or null, $2 how many to show.
SELECT w.id::text AS subject, 'silent since ' || w.beat_at || ' and not reaped' AS detail
FROM (SELECT * FROM headrace.worker WHERE reaped_at IS NULL LIMIT $1) AS w
WHERE w.beat_at < now() - greatest(60, 4 * w.lease) * interval '1 second'
UNION ALL
SELECT w.id::text, 'reaped at ' || w.reaped_at || ' and still owns jobs'
FROM (SELECT * FROM headrace.worker WHERE reaped_at < now() - interval '1 minute' LIMIT $1) AS w
WHERE EXISTS (SELECT FROM headrace.job j WHERE j.owner = w.id AND j.state = 0)
LIMIT $2
