-- known_names: every queue, and every task that was declared.
SELECT ARRAY(SELECT name FROM headrace.queue ORDER BY name) AS queues,
       ARRAY(SELECT name FROM headrace.task ORDER BY name) AS tasks
