-- unhear: somebody hears nothing any more. $1 who.
DELETE FROM headrace.audience WHERE listener = $1
