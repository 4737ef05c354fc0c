"""What one backend makes of given weights and triplets: python backend_steps.py WEIGHTS OUTPUT.

TensorFlow writes the weights, JAX reads them: the same seed gives different ones.
"""

import sys

import keras
import numpy as np

from lambdascape.network import build_embedder
from lambdascape.training import make_optimiser
from lambdascape.triplet_model import TripletModel
from networks import NETWORK, TRAINING

# A bias before batch normalisation has no gradient but rounding, from which Adam makes whole steps.
BACKEND = keras.backend.backend()
SETTINGS = NETWORK | {"width": 4, "dropout": 0.0, "conv_biases": False, "l2": 0.01, "embedding_dim": 8}


def model(optimiser: keras.optimizers.Optimizer) -> TripletModel:
    embedder = build_embedder(39, 16, SETTINGS, 1, 3)
    if BACKEND == "tensorflow":
        embedder.save_weights(sys.argv[1])
    else:
        embedder.load_weights(sys.argv[1])
    triplets = TripletModel(embedder, 1.0, "nonzero")
    triplets.compile(optimizer=optimiser, jit_compile=BACKEND == "jax")
    return triplets


def flat(variables: list[keras.Variable]) -> np.ndarray:
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(variable.value)) for variable in variables])


tiles = np.random.default_rng(1).normal(size=(16, 3, 39, 16)).astype(np.float32)
one = model(keras.optimizers.SGD(1.0))
before = flat(one.embedder.trainable_variables)
losses = [list(one.train_on_batch(tiles, return_dict=True).values())]
gradient = before - flat(one.embedder.trainable_variables)
five = model(make_optimiser(TRAINING | {"learning_rate": 1e-4}, 5))
losses += [list(five.train_on_batch(tiles, return_dict=True).values()) for _ in range(5)]
np.savez(sys.argv[2], losses=losses, gradient=gradient, weights=flat(five.embedder.variables))
