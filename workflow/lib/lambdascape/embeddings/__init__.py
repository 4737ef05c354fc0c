"""Spaces: of trained runs, of references, and brought by the user."""
