"""Lengths and principal components of vectors."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Embeddings are float32: spread below this share of their size is rounding.
ROUNDING = 4 * float(np.finfo(np.float32).eps)


def unit_norm(embedding: Floats) -> Floats:
    """Scale each embedding, shape (tile, dim), to length 1; an embedding of zeros stays as it is."""
    norms = np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding / np.where(norms > 0, norms, 1)


def is_one_point(embedding: Floats) -> bool:
    """Whether tiles, shape (tile, dim), do not differ by more than the rounding of float32."""
    centred = embedding - embedding.mean(axis=0)
    return bool((centred**2).sum() <= ROUNDING**2 * (embedding**2).sum())


def project(embedding: Floats) -> tuple[Floats, Floats]:
    """The first two principal components.

    Args:
        embedding: shape (tile, dim), at least one tile.

    Returns:
        Coordinates, shape (tile, 2), with the sign that makes the largest weight of a component positive;
        shares of the variance, shape (2,); both zero where there is none.
    """
    coordinates, share = np.zeros((len(embedding), 2)), np.zeros(2)
    if is_one_point(embedding):
        return coordinates, share
    centred = embedding - embedding.mean(axis=0)
    _, scale, directions = np.linalg.svd(centred, full_matrices=False)
    for k in range(min(2, len(scale))):
        sign = np.sign(directions[k, np.abs(directions[k]).argmax()])
        coordinates[:, k] = centred @ directions[k] * sign
        share[k] = scale[k] ** 2 / np.square(scale).sum()
    return coordinates, share
