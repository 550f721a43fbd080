-- retry_flow: what is dead or cancelled of a flow comes again, all of it at once. $1 flow, $2 actor.
SELECT id FROM headrace.revive(
    ARRAY(SELECT job_id FROM headrace.flow_job WHERE flow_id = $1), '{3,4}', $2) AS id
