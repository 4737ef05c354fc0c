"""Measures of one space."""
