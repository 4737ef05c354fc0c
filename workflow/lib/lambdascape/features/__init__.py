"""From audio to log-mel features in HDF5."""
