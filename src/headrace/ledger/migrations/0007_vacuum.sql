-- Settings of the partitions in one place, those of DEFAULT included. They hold for what is written
-- from now on: no rewrite, and neither readers nor writers wait.

-- Vacuumed by what is dead rather than by a share of a long day, without pauses, and with room in each
-- page for the versions of its rows: claim and completion then log what changed instead of whole rows
-- (`python -m benchmarks.growth.vacuum`). Events are only ever added.
CREATE FUNCTION headrace.tune_partition(part regclass, fill int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s SET (fillfactor = %s, '
        'autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2, '
        'autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0)', part, fill);
END $$;

CREATE FUNCTION headrace.tune_day(day text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM headrace.tune_partition(format('headrace.%I', 'job_' || day)::regclass, 80);
    PERFORM headrace.tune_partition(format('headrace.%I', 'job_event_' || day)::regclass, 100);
END $$;

-- As in 0001, but for the settings.
CREATE OR REPLACE FUNCTION headrace.add_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    name   text := to_char(day, 'YYYYMMDD');
    lower  uuid := headrace.uuid_floor(day::timestamp AT TIME ZONE 'UTC');
    upper  uuid := headrace.uuid_floor((day + 1)::timestamp AT TIME ZONE 'UTC');
BEGIN
    IF to_regclass('headrace.job_' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    FOREACH parent IN ARRAY ARRAY['job', 'job_event'] LOOP
        EXECUTE format('CREATE TABLE headrace.%I (LIKE headrace.%I INCLUDING ALL)',
            parent || '_' || name, parent);
    END LOOP;
    PERFORM headrace.tune_day(name);
    FOREACH parent IN ARRAY ARRAY['job', 'job_event'] LOOP
        EXECUTE format('ALTER TABLE headrace.%I ATTACH PARTITION headrace.%I FOR VALUES FROM (%L) TO (%L)',
            parent, parent || '_' || name, lower, upper);
    END LOOP;
    RETURN true;
END $$;

SELECT headrace.tune_day(substr(relname, 5)) FROM pg_class
WHERE relnamespace = 'headrace'::regnamespace AND relkind = 'r' AND relname ~ '^job_(default|[0-9]{8})$';
