-- leaders: who does what only one of many needs to do.
SELECT role, host, pid FROM headrace.leader WHERE until >= now() ORDER BY role
