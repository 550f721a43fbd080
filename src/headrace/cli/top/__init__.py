"""headrace top: queues, the lane and workers at a glance, as they are now."""
