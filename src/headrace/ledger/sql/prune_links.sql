-- prune_links: forget what is known of jobs that are gone: their edges, and flows whose jobs all are. Only of
-- earlier days: somebody may put them there this moment. $1 how many at most. Returns them.
WITH old AS (
    SELECT headrace.uuid_floor(now() - interval '1 day') AS before
), edges AS (
    DELETE FROM headrace.edge WHERE ctid = ANY (ARRAY(
        SELECT e.ctid FROM headrace.edge e, old
        WHERE e.child < old.before AND NOT EXISTS (SELECT FROM headrace.job j WHERE j.id = e.child)
        LIMIT $1))
    RETURNING child
), members AS (
    DELETE FROM headrace.flow_job WHERE ctid = ANY (ARRAY(
        SELECT m.ctid FROM headrace.flow_job m, old
        WHERE m.job_id < old.before AND NOT EXISTS (SELECT FROM headrace.job j WHERE j.id = m.job_id)
        LIMIT $1))
    RETURNING job_id
), flows AS (
    DELETE FROM headrace.flow WHERE ctid = ANY (ARRAY(
        SELECT f.ctid FROM headrace.flow f, old
        WHERE f.id < old.before AND NOT EXISTS (SELECT FROM headrace.flow_job m WHERE m.flow_id = f.id)
        LIMIT $1))
    RETURNING id
)
SELECT child AS id FROM edges UNION ALL SELECT job_id FROM members UNION ALL SELECT id FROM flows
