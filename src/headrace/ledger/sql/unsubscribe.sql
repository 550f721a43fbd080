-- unsubscribe: a subscription gets no more events.
-- $1 topic, $2 name.
DELETE FROM headrace.subscription WHERE topic = $1 AND name = $2 RETURNING name
