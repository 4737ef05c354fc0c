"""What the workflow knows of its audio: one row per clip that can be used, one per file that cannot."""
