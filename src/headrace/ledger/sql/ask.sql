-- ask: whoever has these jobs shall end them. $1 ids, $2 actor, $3 reason.
-- Nothing is locked: a handler that holds its row must block nobody (A7). A job that is over by then
-- is forgotten by cancellations.sql. Who asked first is the one whom the job tells of.
WITH live AS (
    SELECT id FROM headrace.job WHERE id = ANY ($1::uuid[]) AND state IN (0, 1)
), asked AS (
    INSERT INTO headrace.cancellation (job_id, actor, reason)
    SELECT id, $2::text, $3::text FROM live
    ON CONFLICT DO NOTHING
)
SELECT id FROM live
