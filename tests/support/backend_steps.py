"""What one backend makes of given weights and triplets: python backend_steps.py WEIGHTS OUTPUT.

TensorFlow writes the weights, JAX reads them: the same seed gives different ones.
"""

import sys
from types import SimpleNamespace

import keras
import numpy as np

from lambdascape.config.settings import Network, RunSettings, Training, Triplets
from lambdascape.models.batch_statistics import BatchMoments
from lambdascape.models.batches import Batches, TileSource
from lambdascape.models.layer_diagnostics import WatchLayers
from lambdascape.models.network import build_embedder
from lambdascape.models.training import compiled_model, make_optimiser
from lambdascape.models.triplet_model import TripletModel
from support.networks import NETWORK, TRAINING, shallow, triplet_model

# A bias before batch normalisation has no gradient but rounding, from which Adam makes whole steps.
BACKEND = keras.backend.backend()
SETTINGS = Network.of(NETWORK | {"width": 4, "dropout": 0.0, "conv_biases": False, "l2": 0.01, "embedding_dim": 8})


def model(
    optimiser: keras.optimizers.Optimizer, source: TileSource | None = None, weights: str = sys.argv[1]
) -> TripletModel:
    embedder = build_embedder(39, 16, SETTINGS, 1, 3)
    if BACKEND == "tensorflow":
        embedder.save_weights(weights)
    else:
        embedder.load_weights(weights)
    triplets = triplet_model(embedder, source)
    triplets.compile(optimizer=optimiser, jit_compile=BACKEND == "jax")
    return triplets


def flat(variables: list[keras.Variable]) -> np.ndarray:
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(variable.value)) for variable in variables])


rng = np.random.default_rng(1)
frames, starts = rng.normal(size=(500, 16)).astype(np.float16), rng.integers(0, 461, size=(16, 3), dtype=np.int32)
tiles = frames[starts[..., None] + np.arange(39)]  # (triplet, 3, frame, mel)
one = model(keras.optimizers.SGD(1.0))
before = flat(one.embedder.trainable_variables)
losses = [list(one.train_on_batch(tiles, return_dict=True).values())]
gradient = before - flat(one.embedder.trainable_variables)
five = model(make_optimiser(Training(learning_rate=1e-4), 5))
losses += [list(five.train_on_batch(tiles, return_dict=True).values()) for _ in range(5)]
held = list(model(keras.optimizers.SGD(1.0), TileSource(frames, 39)).train_on_batch(starts, return_dict=True).values())
watch, ends = WatchLayers(1, 2), []
with shallow(1, 1):
    for callbacks in ([watch], []):
        optimiser, weights = make_optimiser(Training(learning_rate=1e-4), 4), f"{sys.argv[1]}-shallow.weights.h5"
        watched = model(optimiser, weights=weights)
        for _ in range(2):
            watched.fit(np.tile(tiles, (4, 1, 1, 1)), batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
        ends.append(flat([*watched.embedder.variables, *watched.optimizer.variables]))
store = SimpleNamespace(frames=frames, tiles=lambda starts, length: frames[starts[..., None] + np.arange(length)])
batches, ways = Batches(store, rng.integers(0, 461, size=(31, 3)), 39, 4), []
with shallow(1):
    for by_hand in (False, True):
        run = RunSettings.of({"triplets": Triplets().plain(), "network": SETTINGS.plain(), "training": TRAINING})
        ordered = compiled_model(39, 16, run, 1, 8)
        if by_hand:
            for number in range(len(batches)):
                ordered.train_on_batch(*batches[number])
        else:
            ordered.fit(batches.stream(), shuffle=False, verbose=0)
        ways.append(flat(ordered.embedder.variables))
with shallow(1):
    whole = model(keras.optimizers.SGD(1.0), weights=f"{sys.argv[1]}-one.weights.h5")
    moments = [
        BatchMoments(whole.embedder, source, BACKEND == "jax").statistics(
            Batches(store, np.tile(starts, (2, 1)), 39, 8, resident=source.frames is not None)
        )
        for source in (TileSource(), TileSource(frames, 39))
    ]
found = {
    "moments": [np.concatenate([np.ravel(one[name]) for name in sorted(one)]) for one in moments],
    "ways": ways,
    "losses": losses,
    "gradient": gradient,
    "weights": flat(five.embedder.variables),
    "held": held,
    "layers": [[value for value in row.values() if isinstance(value, float)] for row in watch.rows],
    "ends": ends,
}
np.savez(sys.argv[2], **found)
