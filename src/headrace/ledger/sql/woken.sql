-- woken: whether there are jobs that headrace.unblock should look at.
SELECT EXISTS (SELECT FROM headrace.wake) AS woken
