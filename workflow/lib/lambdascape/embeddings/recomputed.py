"""Spaces of networks whose batch statistics are computed for their weights, as a training does before it saves."""

from pathlib import Path
from typing import TYPE_CHECKING

from lambdascape.config.settings import RunSettings
from lambdascape.embeddings.trained import embed_by_network
from lambdascape.features.store import Features
from lambdascape.study.catalogue import RECOMPUTED
from lambdascape.study.choices import Chosen

if TYPE_CHECKING:
    import keras


def embed_recomputed(
    features_path: str | Path,
    clips_path: str | Path,
    test_fold: str,
    weights_path: str | Path,
    settings: RunSettings,
    seed: int,
    output: str | Path,
    network: Chosen | None = None,
) -> None:
    """Embed every tile by a network that was saved with moving averages, with the statistics of its weights instead.

    Args:
        features_path: see `store.open_features`.
        clips_path: the manifest, in the store's order.
        test_fold: the fold that gives no statistics.
        weights_path: see `network.save_embedder`.
        settings: of the run.
        seed: of the run.
        output: see `space_file.write_embeddings`.
        network: see `training.train`.

    Raises:
        InputError: see `trained.embed_trained` and `run_triplets.split_tiles`.
    """
    _embed(RECOMPUTED, features_path, clips_path, test_fold, weights_path, settings, seed, output, network)


def embed_untrained(
    features_path: str | Path,
    clips_path: str | Path,
    test_fold: str,
    settings: RunSettings,
    seed: int,
    output: str | Path,
    network: Chosen | None = None,
) -> None:
    """Embed every tile by the network with its initial weights, the baseline that training must beat.

    Its batch normalisation has the statistics of these weights over the training tiles: with those that a layer starts
    from, mean 0 and variance 1, it would be a network that does not normalise.

    Args: see `embed_recomputed`; the settings need no λ.
    """
    _embed("untrained", features_path, clips_path, test_fold, None, settings, seed, output, network)


def _embed(
    kind: str,
    features_path: str | Path,
    clips_path: str | Path,
    test_fold: str,
    weights_path: str | Path | None,
    settings: RunSettings,
    seed: int,
    output: str | Path,
    network: Chosen | None = None,
) -> None:
    def prepare(embedder: "keras.Model", features: Features) -> None:
        from lambdascape.models.batch_statistics import recompute_statistics

        recompute_statistics(embedder, features, clips_path, test_fold, settings)

    embed_by_network(kind, features_path, clips_path, weights_path, settings, seed, output, network, prepare)
