-- heard: the channels of the bus that somebody hears now.
SELECT DISTINCT channel FROM headrace.audience WHERE until > now()
