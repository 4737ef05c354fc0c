"""The figures of a study, one module for each family: tables and embeddings in, SVG and PNG out."""
