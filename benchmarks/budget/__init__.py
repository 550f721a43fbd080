"""Where a job's microseconds go: each stage of a drain beside the floor of its parts."""
