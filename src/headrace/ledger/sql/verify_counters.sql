-- verify_counters: counters that are not what a count of all jobs says; one snapshot, so exact at any
-- time. $1 null (it needs all jobs), $2 how many to show.
SELECT coalesce(q.name, 'queue ' || queue_id) || ' ' || state AS subject,
       'counted ' || coalesce(c.n, 0) || ', there are ' || coalesce(j.n, 0) AS detail
FROM (SELECT queue_id, state, count(*) AS n
      FROM (SELECT queue_id, state FROM headrace.job LIMIT $1) AS every
      GROUP BY queue_id, state) AS j
FULL JOIN (SELECT queue_id, state, sum(n) AS n
           FROM (SELECT queue_id, state, n FROM headrace.counter
                 UNION ALL SELECT queue_id, state, n FROM headrace.counter_delta) AS every
           GROUP BY queue_id, state) AS c USING (queue_id, state)
LEFT JOIN headrace.queue q ON q.id = queue_id
WHERE coalesce(j.n, 0) <> coalesce(c.n, 0)
LIMIT $2
