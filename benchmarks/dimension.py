"""No speed: how far estimates of the intrinsic dimension are from the truth, on independent and on nested points.

make bench-dimension

Points are Gaussian in 8 or 16 dimensions, laid into 32 by a random linear map. In nested designs a session, a moment
and a tile each add their own part, with standard deviations 1, 0.5 and 0.2. Printed is the estimate over the truth: the
mean and the range over 20 data sets, and the share of them within 25 %.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from lambdascape.geometry.shape import twonn

DATA_SETS, WIDE, NEAR = 20, 32, 0.25
DIMENSIONS = (8, 16)
SPREADS = (1.0, 0.5, 0.2)  # of sessions, moments, tiles
NESTED = ((9, 3, 9), (30, 20, 5))  # sessions × moments × tiles
SIZES = (30, 100, 300, 500, 1000, 1500, 3000)  # sessions, one tile of each
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def nested(dimension: int, design: tuple[int, int, int], rng: np.random.Generator) -> tuple[Floats, Codes, Codes]:
    """Points of shape (tile, dim), and each tile's session and moment."""
    sessions, moments, tiles = design
    counts = np.cumprod(design)
    z = sum(
        np.repeat(spread * rng.normal(size=(count, dimension)), counts[-1] // count, axis=0)
        for count, spread in zip(counts, SPREADS, strict=True)
    )
    session = np.repeat(np.arange(sessions), moments * tiles)
    return z @ rng.normal(size=(dimension, WIDE)), session, np.repeat(np.arange(sessions * moments), tiles)


def distances(x: Floats, session: Codes | None = None) -> Floats:
    """Distances of each point to the others, or to those of its session, shape (point, neighbour), sorted."""
    d = cdist(x, x)
    np.fill_diagonal(d, np.inf)
    if session is not None:
        d[session[:, None] != session] = np.inf
    return np.sort(d, axis=1)


def gride(d: Floats, n: int) -> float:
    """GRIDE with the n-th and 2n-th neighbours, by maximum likelihood (Denti et al. 2022, eq. 7)."""
    x = np.log(d[:, 2 * n - 1] / d[:, n - 1])

    def loss(k: float) -> float:
        return -float((np.log(k) + (n - 1) * np.log(np.expm1(k * x)) - (k * (2 * n - 1) + 1) * x).sum())

    return float(minimize_scalar(loss, bounds=(0.3, 80), method="bounded").x)


def levina_bickel(d: Floats, k: int) -> float:
    """Maximum likelihood over k neighbours (Levina & Bickel 2004), inverses averaged (MacKay & Ghahramani 2005)."""
    return float(1 / np.log(d[:, k - 1 : k] / d[:, : k - 1]).mean())


def estimates(x: Floats, session: Codes, moment: Codes) -> dict[str, float]:
    """Every estimate that was tried on nested points."""
    one = np.unique(moment, return_index=True)[1]
    first = np.unique(session, return_index=True)[1]
    tiles, moments, within = distances(x), distances(x[one]), distances(x[one], session[one])
    return {
        "TwoNN, all tiles": twonn(tiles[:, :2]),
        "TwoNN, neighbours of the same moment": twonn(distances(x, moment)[:, :2]),
        **{f"GRIDE {n} and {2 * n}, all tiles": gride(tiles, n) for n in (2, 4, 8, 16)},
        **{f"Levina-Bickel {k}, all tiles": levina_bickel(tiles, k) for k in (3, 10, 20)},
        "TwoNN, one tile a moment": twonn(moments[:, :2]),
        **{f"GRIDE {n} and {2 * n}, one tile a moment": gride(moments, n) for n in (2, 4)},
        **{f"Levina-Bickel {k}, one tile a moment": levina_bickel(moments, k) for k in (3, 10, 20)},
        "TwoNN, one tile a moment, within sessions": twonn(within[:, :2]),
        "TwoNN, one tile a session": twonn(distances(x[first])[:, :2]),
    }


def study(name: str, dimension: int, make: Callable[[np.random.Generator], dict[str, float]]) -> None:
    """Print how the estimates of the data sets compare with the truth."""
    found = [make(np.random.default_rng([dimension, number])) for number in range(DATA_SETS)]
    for estimate in found[0]:
        share = np.array([row[estimate] for row in found]) / dimension
        near = np.mean(np.abs(share - 1) <= NEAR)
        ends = f"{share.min():.2f} to {share.max():.2f}"
        print(f"{dimension:2d}  {name:12} {estimate:44} {share.mean():.2f} ({ends})  within 25 %: {near:.2f}")


def main() -> None:
    """Print one line per dimension, design and estimate."""
    for dimension in DIMENSIONS:
        for size in SIZES:

            def independent(rng: np.random.Generator, dimension: int = dimension, size: int = size) -> dict[str, float]:
                x, _, _ = nested(dimension, (size, 1, 1), rng)
                return {"TwoNN, one tile a session": twonn(distances(x)[:, :2])}

            study(f"{size} × 1 × 1", dimension, independent)
        for design in NESTED:

            def clusters(
                rng: np.random.Generator, dimension: int = dimension, design: tuple[int, int, int] = design
            ) -> dict[str, float]:
                return estimates(*nested(dimension, design, rng))

            study(" × ".join(map(str, design)), dimension, clusters)


if __name__ == "__main__":
    main()
