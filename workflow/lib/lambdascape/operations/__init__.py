"""Commands that a user calls; the workflow never does."""
