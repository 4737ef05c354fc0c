"""The network, its triplets and its training."""
