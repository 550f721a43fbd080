"""What a job costs as queues, worker processes, tenants and history grow."""
