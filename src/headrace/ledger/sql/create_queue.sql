-- create_queue: make a queue known; no row if it was. $1 name.
INSERT INTO headrace.queue (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id
