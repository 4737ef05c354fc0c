"""Losses of batches of triplets, one in each module."""
