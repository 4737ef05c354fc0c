"""The network has the published form, and λ holds for what it should hold for."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from lambdascape.config.settings import Network
from lambdascape.core.errors import InputError
from lambdascape.features.mfcc import mfcc_matrix
from lambdascape.models.network import build_embedder, load_embedder, save_embedder
from lambdascape.operations.plan.disk_usage import parameters
from support.networks import NETWORK

SMALL = NETWORK | {"width": 4, "embedding_dim": 8}


def built(frames: int, mels: int, settings: dict[str, Any], *rest: Any, **named: Any) -> keras.Model:
    return build_embedder(frames, mels, Network.of(settings), *rest, **named)


# Trainable parameters for one channel, without head and biases of convolutions: of ResNet18 from the study facts,
# of the others those of torchvision's networks less their head and the two channels that the stem does not have.
PARAMETERS = {"resnet18": 11_170_240, "resnet34": 21_278_400, "resnet50": 23_501_760}


def backbone_parameters(embedder: keras.Model) -> int:
    return _size(v for v in embedder.trainable_variables if not v.path.startswith("embedding/"))


def _size(variables: Iterable[keras.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.mark.parametrize("architecture", PARAMETERS)
def test_networks_have_the_known_number_of_parameters(architecture: str) -> None:
    settings = SMALL | {"architecture": architecture, "width": 64, "conv_biases": False, "embedding_dim": 64}
    embedder = built(64, 64, settings, 1)
    assert backbone_parameters(embedder) == PARAMETERS[architecture]
    reckoned = parameters(Network.of(settings))  # as the plan of a study does, without building it
    assert (reckoned.trained, reckoned.all) == (_size(embedder.trainable_variables), embedder.count_params())


@pytest.mark.parametrize("l2", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("conv_biases", [True, False])
def test_the_penalty_is_l2_times_the_sum_of_squares_of_convolutions(l2: float, conv_biases: bool) -> None:
    settings = SMALL | {"l2": l2, "conv_biases": conv_biases}
    embedder = built(48, 32, settings, 1)
    reckoned = parameters(Network.of(settings))  # as the plan of a study does, without building it
    assert (reckoned.trained, reckoned.all) == (_size(embedder.trainable_variables), embedder.count_params())
    rng = np.random.default_rng(2)
    total = 0.0
    for layer in embedder.layers:
        layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()] if layer.weights else [])
        if isinstance(layer, keras.layers.Conv2D):
            total += sum(float(np.sum(np.square(w.astype(np.float64)))) for w in layer.get_weights())
    assert float(sum(embedder.losses)) == pytest.approx(l2 * total, rel=1e-5)
    assert len(embedder.losses) == 20 * (1 + conv_biases)  # 1 + 16 + 3 convolutions


def test_without_l2_there_is_no_penalty() -> None:
    assert built(48, 32, SMALL, 1).losses == []


@pytest.mark.usefixtures("shallow_network")
@pytest.mark.parametrize(("scope", "layers"), [("head", ["embedding"]), ("all", ["stem_conv", "embedding"])])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_penalty_holds_for_its_scope_only(scope: str, layers: list[str], precision: str) -> None:
    embedder = built(48, 32, SMALL | {"l2": 0.3, "l2_scope": scope}, 1, precision=precision)
    for layer in embedder.layers:
        layer.set_weights([np.random.default_rng(2).normal(size=w.shape) for w in layer.get_weights()])
    squares = {layer.name: sum(float(np.sum(np.square(w))) for w in layer.get_weights()) for layer in embedder.layers}
    convolutions = [name for name in squares if name.endswith("_conv")] if scope == "all" else []
    expected = 0.3 * sum(squares[name] for name in {*layers, *convolutions})
    assert float(sum(embedder.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("shallow_network")
def test_the_norm_penalty_is_the_mean_square_before_the_unit_length() -> None:
    tiles = np.random.default_rng(1).normal(size=(5, 48, 32, 1)).astype(np.float32)
    embedder = built(48, 32, SMALL | {"embedding_norm_penalty": 0.25}, 1)
    embedder(tiles)
    penalty = float(sum(embedder.losses))
    before = keras.Model(embedder.input, embedder.get_layer("embedding").output)
    expected = 0.25 * np.mean(np.sum(np.square(before.predict_on_batch(tiles)), axis=1))
    assert penalty == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.usefixtures("shallow_network")
def test_narrow_arithmetic_keeps_wide_weights_and_comes_near_the_wide_result() -> None:
    tiles = np.random.default_rng(1).normal(size=(6, 48, 32, 1)).astype(np.float32)
    wide, narrow = (built(48, 32, SMALL, 1, 3, precision) for precision in ("float32", "bfloat16"))
    assert keras.config.dtype_policy().name == "float32"
    assert narrow.get_layer("stem_conv").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in narrow.trainable_variables} == {"float32"}
    for training in (False, True):
        found, expected = (np.asarray(model(tiles, training=training)) for model in (narrow, wide))
        assert found.dtype == np.float32
        if not training:  # else dropout draws
            assert 0 < np.abs(found - expected).max() < 0.05


@pytest.mark.usefixtures("shallow_network")
def test_embeddings_lie_on_the_unit_sphere() -> None:
    tiles = np.random.default_rng(1).normal(size=(3, 48, 32, 1)).astype(np.float32)
    embedding = built(48, 32, SMALL, 1).predict_on_batch(tiles)
    assert embedding.shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)


@pytest.mark.usefixtures("shallow_network")
def test_initial_weights_follow_from_the_seed_and_not_from_l2() -> None:
    def weights(seed: int, l2: float) -> list[np.ndarray]:
        return built(48, 32, SMALL | {"l2": l2}, seed).get_weights()

    first, other_l2, other_seed = weights(1, 0.1), weights(1, 1.0), weights(2, 0.1)
    assert all(np.array_equal(a, b) for a, b in zip(first, other_l2, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other_seed, strict=True))


@pytest.fixture
def saved(tmp_path: Path, shallow_network: None) -> Path:
    """The weights of a network of seed 1."""
    save_embedder(built(48, 32, SMALL, 1), {"seed": 1}, tmp_path / "embedder.weights.h5")
    return tmp_path / "embedder.weights.h5"


def test_saved_weights_come_back_and_those_of_another_run_are_refused(saved: Path) -> None:
    embedder, other = built(48, 32, SMALL, 1), built(48, 32, SMALL, 2)
    load_embedder(other, {"seed": 1}, saved)
    assert all(np.array_equal(a, b) for a, b in zip(embedder.get_weights(), other.get_weights(), strict=True))
    with pytest.raises(InputError, match=r"must hold the weights of \{'seed': 2\}; it holds those of \{'seed': 1\}"):
        load_embedder(other, {"seed": 2}, saved)


HOSTILE: dict[str, Callable[[h5py.File], object]] = {
    "external storage": lambda file: file.create_dataset("outside", (16,), "f4", external=[("secret", 0, 64)]),
    "external link": lambda file: file.__setitem__("outside", h5py.ExternalLink("other.h5", "/x")),
    "terabytes": lambda file: file.create_dataset("bomb", (10**12,), "f4", chunks=(1024,)),
    "in a circle": lambda file: file.__setitem__("round", file["/"]),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_weights_are_refused(saved: Path, kind: str) -> None:
    with h5py.File(saved, "r+") as file:
        HOSTILE[kind](file)
    with pytest.raises(InputError, match=r"must (stay inside|lie in) the file"):
        load_embedder(built(48, 32, SMALL, 1), {"seed": 1}, saved)


@pytest.mark.parametrize("other", [{"width": 8}, {"embedding_dim": 4}, {"conv_biases": False}])
def test_weights_of_another_network_under_the_same_name_are_refused(saved: Path, other: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"embedder\.weights\.h5: must hold the weights of this network; "):
        load_embedder(built(48, 32, SMALL | other, 1), {"seed": 1}, saved)


def test_weights_that_lack_a_layer_are_refused(saved: Path) -> None:
    embedder, whole = built(48, 32, SMALL, 1), saved.read_bytes()
    with h5py.File(saved) as file:
        layers = [f"layers/{name}" for name, group in file["layers"].items() if len(group.get("vars", {}))]
    assert len(layers) >= 5
    for layer in layers:
        saved.unlink()
        saved.write_bytes(whole)
        with h5py.File(saved, "r+") as file:
            del file[layer]
        with pytest.raises(InputError, match="must hold the weights of this network"):
            load_embedder(embedder, {"seed": 1}, saved)


@pytest.mark.usefixtures("shallow_network")
def test_an_architecture_in_a_file_is_never_run(tmp_path: Path) -> None:
    path, canary = tmp_path / "embedder.keras", tmp_path / "canary"
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="must be a weights file"):
        load_embedder(built(48, 32, SMALL, 1), {}, path)
    target = str(canary)  # Keras writes what a function holds
    layer = keras.layers.Lambda(lambda x: (Path(target).touch(), x)[1])
    keras.Sequential([keras.Input((2,)), layer]).save(path)
    canary.unlink(missing_ok=True)
    with pytest.raises(InputError, match="must be a weights file"):
        load_embedder(built(48, 32, SMALL, 1), {}, path)
    assert not canary.exists()


@pytest.mark.slow
def test_a_network_that_sees_coefficients_is_the_network_over_them() -> None:
    """In full depth: 13 coefficients are halved five times."""
    frames = np.random.default_rng(1).normal(size=(3, 48, 32, 1)).astype(np.float32)
    by_frames = built(48, 32, SMALL | {"input": "mfcc"}, 1)
    by_coefficients = built(48, 13, SMALL, 1)
    coefficients = np.expand_dims(frames[..., 0] @ mfcc_matrix(32, 13), -1)
    assert [v.shape for v in by_frames.weights] == [v.shape for v in by_coefficients.weights]
    embedding = by_frames.predict_on_batch(frames)
    np.testing.assert_allclose(embedding, by_coefficients.predict_on_batch(coefficients), atol=1e-5)
    assert not np.allclose(embedding, built(48, 32, SMALL, 1).predict_on_batch(frames), atol=1e-2)
