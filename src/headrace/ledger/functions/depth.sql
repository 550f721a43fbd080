-- How many jobs come into a queue that has a limit; refused where it would hold more than that. It holds
-- all that are not over. Nobody is waited for: jobs of transactions that are not committed yet do not
-- count for others, so the limit may be passed by as many (docs/limits.md).
CREATE OR REPLACE FUNCTION headrace.within_depth(queue_id int, more bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    q     headrace.queue;
    depth bigint;
BEGIN
    SELECT * INTO q FROM headrace.queue WHERE id = queue_id;
    SELECT coalesce(sum(held.n), 0) INTO depth
    FROM (SELECT c.n FROM headrace.counter c WHERE c.queue_id = q.id AND c.state <= 1
          UNION ALL
          SELECT d.n FROM headrace.counter_delta d WHERE d.queue_id = q.id AND d.state <= 1) AS held;
    IF depth + more > q.max_depth THEN
        PERFORM headrace.refuse('HR006', 'queue "%s" holds %s jobs of %s at most, so it takes no %s more; enqueue '
            'later, or raise its limit with `headrace queues max-depth %s N`',
            q.name, depth::text, q.max_depth::text, more::text, q.name);
    END IF;
    RETURN more;
END $$;
