-- verify_topics: no subscription has two jobs of one event.
-- $1 how many to walk or null, $2 how many to show.
SELECT v.topic ->> 'name' || ' ' || (v.topic ->> 'subscription') AS subject,
       count(*) || ' jobs of event ' || (v.topic ->> 'event') AS detail
FROM (SELECT j.headers -> 'topic' AS topic
      FROM (SELECT * FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
      WHERE j.headers ? 'topic') AS v
GROUP BY v.topic
HAVING count(*) > 1
LIMIT $2
