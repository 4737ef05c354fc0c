"""What one backend makes of given weights and triplets: python backend_steps.py WEIGHTS OUTPUT.

TensorFlow writes the weights, JAX reads them: the same seed gives different ones.
"""

import sys

import keras
import numpy as np

from lambdascape.dynamics import WatchLayers
from lambdascape.network import build_embedder
from lambdascape.training import make_optimiser
from lambdascape.triplet_model import TripletModel
from networks import NETWORK, TRAINING, shallow

# A bias before batch normalisation has no gradient but rounding, from which Adam makes whole steps.
BACKEND = keras.backend.backend()
SETTINGS = NETWORK | {"width": 4, "dropout": 0.0, "conv_biases": False, "l2": 0.01, "embedding_dim": 8}


def model(optimiser: keras.optimizers.Optimizer, weights: str = sys.argv[1]) -> TripletModel:
    embedder = build_embedder(39, 16, SETTINGS, 1, 3)
    if BACKEND == "tensorflow":
        embedder.save_weights(weights)
    else:
        embedder.load_weights(weights)
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
watch, ends = WatchLayers(1, 2), []
with shallow(1, 1):
    for callbacks in ([watch], []):
        watched = model(make_optimiser(TRAINING | {"learning_rate": 1e-4}, 4), f"{sys.argv[1]}-shallow.weights.h5")
        for _ in range(2):
            watched.fit(np.tile(tiles, (4, 1, 1, 1)), batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
        ends.append(flat([*watched.embedder.variables, *watched.optimizer.variables]))
layers = [[value for value in row.values() if isinstance(value, float)] for row in watch.rows]
np.savez(sys.argv[2], losses=losses, gradient=gradient, weights=flat(five.embedder.variables), layers=layers, ends=ends)
