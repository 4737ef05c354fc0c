"""One module per layout of a data set."""
