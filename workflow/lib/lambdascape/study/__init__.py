"""What a config means: runs, paths, names."""
