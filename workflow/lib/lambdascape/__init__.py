"""What a hyperparameter, first of all the L2 factor λ, does to an embedding space learned from unlabelled audio."""

__version__ = "0.1.0"
