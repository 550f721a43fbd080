-- declare_lines: what an application says of concurrency limits. $1 model/concurrency.py, as JSON.
SELECT headrace.declare_lines($1::text::jsonb)
