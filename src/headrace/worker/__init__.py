"""The worker: take, run, settle."""
