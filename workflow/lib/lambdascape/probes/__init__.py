"""Probes: classifiers fitted on frozen embeddings; their scores say how well classes separate. One module per probe."""
