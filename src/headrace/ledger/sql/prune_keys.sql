-- prune_keys: delete idempotency keys that are over. $1 how many at most. Returns them.
WITH over AS (
    SELECT key FROM headrace.idempotency WHERE until < now() ORDER BY until LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM headrace.idempotency i USING over
WHERE i.key = over.key AND i.until < now()
RETURNING i.key
