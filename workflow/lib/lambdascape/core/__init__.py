"""What knows nothing of studies: errors, files, HDF5, tables, locks, vectors."""
