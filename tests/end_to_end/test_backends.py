"""Row B1 of the table of faults: with the same weights and triplets, both backends compute the same."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """What each backend found, TensorFlow first."""
    folder = tmp_path_factory.mktemp("steps")
    for backend in ("tensorflow", "jax"):
        environment = os.environ | {"PYTHONPATH": f"{REPO}/workflow/lib:{REPO}/tests", "KERAS_BACKEND": backend}
        words = [sys.executable, REPO / "tests/support/backend_steps.py", folder / "all.weights.h5", folder / backend]
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"{backend}.npz")) for backend in ("tensorflow", "jax")]


@pytest.mark.fault("B1")
@pytest.mark.parametrize("what", ["losses", "gradient", "weights"])
def test_losses_gradients_and_five_steps_agree(steps: list[dict[str, np.ndarray]], what: str) -> None:
    """Relative to the length of the whole vector, in float32."""
    expected, found = (step[what].ravel() for step in steps)
    assert np.linalg.norm(expected) > 0
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.finding("A1")
def test_recomputed_batch_statistics_agree(steps: list[dict[str, np.ndarray]]) -> None:
    """Between backends, and between tiles that are sent and tiles that are gathered where the network computes."""
    expected, resident = steps[0]["moments"]
    assert np.linalg.norm(expected) > 0
    for found in (resident, *steps[1]["moments"]):
        assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


def test_neither_held_frames_nor_reading_change_a_bit_and_a_pass_learns_every_batch_once_and_in_order(
    steps: list[dict[str, np.ndarray]],
) -> None:
    for step in steps:
        np.testing.assert_array_equal(step["held"], step["losses"][0])
        np.testing.assert_array_equal(*step["ends"])  # watched, alone
        np.testing.assert_allclose(*step["ways"], atol=1e-6)  # streamed, by hand


def test_what_is_read_off_a_step_agrees(steps: list[dict[str, np.ndarray]]) -> None:
    """Only in one place does rounding count: a gradient is found as a difference of moments."""
    expected, found = (step["layers"] for step in steps)
    assert expected.shape == (4, 9)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
