"""Spaces: of trained runs, of baselines, and brought by the user."""
