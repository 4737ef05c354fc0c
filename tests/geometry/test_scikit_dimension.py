"""Shape of a space compared with scikit-dimension, which shares no code with it."""

import numpy as np
import pytest
import skdim

from lambdascape.geometry.shape import FEWEST_SESSIONS, intrinsic_dimension, participation_ratio

# Dimension of the surface and of the space that it lies in; scikit-dimension searches neighbours otherwise above 25.
SPACES = pytest.mark.parametrize(("surface", "dim"), [(2, 16), (5, 16), (8, 64), (32, 32)])


def curved(surface: int, dim: int, tiles: int = FEWEST_SESSIONS) -> np.ndarray:
    """Tiles on a curved surface, shape (tile, dim), away from the origin."""
    rng = np.random.default_rng([surface, dim])
    flat = rng.normal(size=(tiles, surface)) * np.linspace(2, 0.5, surface)
    return np.concatenate([flat, np.sin(flat)], axis=1) @ rng.normal(size=(2 * surface, dim)) + 3


@SPACES
@pytest.mark.filterwarnings("ignore:.*encountered in divide:RuntimeWarning")  # gaps of a spectrum, not asked for
def test_the_participation_ratio_is_scikit_dimensions(surface, dim):
    x = curved(surface, dim, 300)
    expected = skdim.id.lPCA(ver="participation_ratio").fit(x).dimension_
    assert participation_ratio(x) == pytest.approx(expected, rel=1e-9)


@SPACES
def test_the_intrinsic_dimension_is_scikit_dimensions_twonn(surface, dim):
    """One tile of each session. Both fit a line through the origin without the tenth of the largest ratios."""
    x = curved(surface, dim)
    session = np.array([f"s{k}" for k in range(len(x))], object)
    assert intrinsic_dimension(x, session) == pytest.approx(skdim.id.TwoNN().fit(x).dimension_, rel=1e-4)
