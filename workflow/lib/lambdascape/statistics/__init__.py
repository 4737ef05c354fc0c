"""Statistics over sessions, seeds and runs."""
