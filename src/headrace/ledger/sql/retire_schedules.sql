-- retire_schedules: the code of an application does not declare these any more, so they tick no
-- more. $1 application, $2 the names that it declares, $3 who.
WITH retired AS (
    UPDATE headrace.schedule
    SET undeclared = true, due_at = NULL, version = version + 1, changed_at = now()
    WHERE app = $1 AND NOT undeclared AND name <> ALL ($2::text[])
    RETURNING name
)
SELECT name, headrace.schedule_changed(name, 'undeclared', $3, NULL) FROM retired
