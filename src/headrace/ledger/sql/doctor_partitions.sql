-- doctor_partitions: days without a break that have a partition, from today on; the oldest day; rows
-- of DEFAULT, up to $1; dead tuples and live ones of the jobs.
SELECT (SELECT count(*) FROM (
            SELECT day, row_number() OVER (ORDER BY day) AS place FROM generate_series(
                (now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + 30,
                interval '1 day') AS day
            WHERE to_regclass('headrace.job_' || to_char(day, 'YYYYMMDD')) IS NOT NULL
        ) AS made WHERE made.day::date = (now() AT TIME ZONE 'UTC')::date + made.place::int - 1) AS ahead,
       (SELECT min(to_date(substr(c.relname, 5), 'YYYYMMDD')) FROM pg_class c
        WHERE c.relnamespace = 'headrace'::regnamespace AND c.relname ~ '^job_[0-9]{8}$') AS oldest,
       (SELECT count(*) FROM (SELECT FROM headrace.job_default LIMIT $1) AS few) AS in_default,
       coalesce((SELECT sum(t.n_dead_tup) FROM pg_stat_user_tables t
        WHERE t.schemaname = 'headrace' AND t.relname ~ '^job_'), 0)::bigint AS dead_tuples,
       coalesce((SELECT sum(t.n_live_tup) FROM pg_stat_user_tables t
        WHERE t.schemaname = 'headrace' AND t.relname ~ '^job_'), 0)::bigint AS live_tuples
