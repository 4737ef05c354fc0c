"""What a study asks of a cluster before it is started: jobs, hours, memory, disk."""
