-- make_ticks: the jobs of ticks, and how far their schedules are then, both or neither. Whoever
-- comes second finds another cursor, or the row locked, and makes nothing (tests/model/ticks.py,
-- twins `insert_apart`, `advance_apart`, `compare_nothing`).
-- $1 an array of moves: place, name, version and cursor as they were read, upto, due_at (null:
-- never), last_tick or null, missed or null, docs (as headrace.add_jobs takes them, in the order
-- of their ticks). Returns a row a job: name, place in docs, job_id, duplicate, blocked; and one with the name
-- alone for each move that was made.
WITH move AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS m
        (place int, name text, version int, cursor timestamptz, upto timestamptz, due_at timestamptz,
         last_tick timestamptz, missed timestamptz, docs jsonb)
), held AS MATERIALIZED (
    SELECT m.place, s.name, m.upto, m.due_at, m.last_tick, m.missed, m.docs
    FROM move m JOIN headrace.schedule s ON s.name = m.name
    WHERE s.version = m.version AND s.cursor = m.cursor AND s.due_at IS NOT NULL
    ORDER BY s.name
    FOR UPDATE OF s SKIP LOCKED
), doc AS MATERIALIZED (
    SELECT h.name, d.doc, d.place AS place, row_number() OVER (ORDER BY h.place, d.place) AS number
    FROM held h, jsonb_array_elements(h.docs) WITH ORDINALITY AS d (doc, place)
), made AS MATERIALIZED (
    SELECT i.place, i.job_id, i.duplicate, i.blocked
    FROM headrace.add_jobs(
        (SELECT coalesce(jsonb_agg(doc ORDER BY number), '[]') FROM doc)) AS i
), job AS MATERIALIZED (
    SELECT doc.name, doc.place, made.job_id, made.duplicate, made.blocked
    FROM doc JOIN made ON made.place = doc.number
), last AS (
    SELECT DISTINCT ON (name) name, job_id, place FROM job ORDER BY name, place DESC
), moved AS (
    UPDATE headrace.schedule s
    SET cursor = h.upto, due_at = h.due_at, made = s.made + coalesce(last.place, 0),
        last_tick = coalesce(h.last_tick, s.last_tick),
        last_job = coalesce(last.job_id, s.last_job), error = NULL
    FROM held h LEFT JOIN last ON last.name = h.name
    WHERE s.name = h.name
    RETURNING s.name
), noted AS (
    INSERT INTO headrace.schedule_event (name, kind, actor, data)
    SELECT name, 'missed', 'scheduler', jsonb_build_object('first', missed, 'made', last_tick)
    FROM held WHERE missed IS NOT NULL
)
SELECT name, place, job_id, duplicate, blocked FROM job
UNION ALL
SELECT name, NULL, NULL, NULL, NULL FROM moved
