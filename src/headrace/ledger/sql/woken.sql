-- woken: whether there are jobs that headrace.let_go should look at; seconds until one that needs seats is due,
-- null if none is.
SELECT EXISTS (SELECT FROM headrace.wake) OR EXISTS (SELECT FROM headrace.seat_mark)
       OR coalesce(next.due <= now(), false) AS woken,
       CASE WHEN next.due < 'infinity' THEN greatest(date_part('epoch', next.due - now()), 0) END AS next_due
FROM (SELECT (SELECT due FROM headrace.seat WHERE phase = 0 ORDER BY due LIMIT 1) AS due) AS next
