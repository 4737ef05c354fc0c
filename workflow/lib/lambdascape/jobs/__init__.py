"""What a job does around its function."""
