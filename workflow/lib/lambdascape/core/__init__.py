"""What does not depend on studies: errors, files, HDF5, tables, locks, vectors."""
