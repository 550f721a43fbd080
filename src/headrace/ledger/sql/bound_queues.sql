-- bound_queues: what applications say of how many jobs queues may hold, unless an operator has said
-- something else. $1 names, $2 how many.
UPDATE headrace.queue q SET max_depth = said.most
FROM unnest($1::text[], $2::int[]) AS said (name, most)
WHERE q.name = said.name AND NOT q.depth_overridden AND q.max_depth IS DISTINCT FROM said.most
