"""The CKA that two spaces would have if they shared their classes and nothing else: sessions of a class exchanged."""

from collections.abc import Sequence
from math import factorial, prod

import numpy as np
import numpy.typing as npt

from lambdascape.similarity.measures import Floats, Lists, session_means
from lambdascape.similarity.space_summary import main_labels

EXCHANGES = 100  # drawn for every pair of spaces, the same for all
LEAST = 20  # ways to exchange, below which a 95th percentile says nothing
MOST_TILES = 400  # of a space that the null is computed on
STREAM = 2012  # seed of the exchanges
PERCENTILE = 95


def why_none(session: Lists, label: Lists) -> str:
    """Why sessions cannot be exchanged within their classes; empty where they can.

    Args:
        session: number of the session of each tile, shape (tile,).
        label: number of the label of each tile, shape (tile,).
    """
    sizes = np.bincount(main_labels(session, label))
    sizes = sizes[sizes > 0]
    if len(sizes) and sizes.min() < 2:
        return "the null is missing, since a class has one session and nothing can be exchanged"
    ways = prod(factorial(size - 1) for size in sizes.tolist())
    few = f"the null is missing, since sessions of a class can be exchanged in {ways} ways and {LEAST} are needed"
    return "" if ways >= LEAST else few


def exchanges(label: Lists) -> Lists:
    """Ways to put another session of its class in the place of every session, drawn at random.

    The sessions of a class are brought into a random order, and each takes the place of the next, the last that of the
    first: no session stays where it is, so that nothing but the class is left in common.

    Args:
        label: number of the label of each session, shape (session,); without labels all are one class.

    Returns:
        For each way the session that stands in the place of each: shape (way, session).
    """
    rng = np.random.default_rng([STREAM])
    ways = np.zeros((EXCHANGES, len(label)), np.intp)
    for way in ways:
        for code in np.unique(label):
            order = rng.permutation(np.flatnonzero(label == code))
            way[order] = np.roll(order, -1)
    return ways


def representatives(session: Lists, moment: Lists, label: Lists) -> tuple[Lists, Lists]:
    """As many tiles of every session, evenly spread over it, so that sessions of any size can be exchanged.

    The tiles of a session stand in the order of its moments. Of c tiles number ⌊(k + 1/2) c / m⌋ is taken for k = 0 to
    m - 1, where m is `MOST_TILES` over the number of sessions, at most the size of the largest one, at least 1; in a
    session of fewer than m tiles some count more than once. Of more than `MOST_TILES` sessions about so many are taken,
    of each class its share, but at least two.

    Args:
        session: number of the session of each tile, from 0 without gaps, shape (tile,).
        moment: number of the moment of each tile, shape (tile,).
        label: number of the label of each tile, shape (tile,); a session counts to its most frequent one.

    Every class has at least two sessions, see `why_none`.

    Returns:
        Row numbers, shape (session taken, m), and the label of each of these sessions.
    """
    main, order, count = main_labels(session, label).to_numpy(), np.lexsort((moment, session)), np.bincount(session)
    classes = [np.flatnonzero(main == code) for code in np.unique(main)]
    share = min(1, MOST_TILES / len(main))
    taken = np.concatenate([of[_spread(len(of), max(2, int(share * len(of))))] for of in classes])
    m = int(np.clip(MOST_TILES // len(taken), 1, count.max()))
    place = np.array([_spread(size, m) for size in count[taken]])
    return order[(np.cumsum(count) - count)[taken, None] + place], main[taken]


def _spread(size: int, taken: int) -> Lists:
    """Evenly spread numbers from 0 to `size` - 1: ⌊(k + 1/2) size / taken⌋."""
    return (2 * np.arange(taken) + 1) * size // (2 * taken)


def null_of_cka(
    embeddings: Sequence[npt.NDArray[np.floating]], own: Floats, session: Lists, moment: Lists, label: Lists
) -> tuple[Floats, Floats]:
    """What CKA would be if two spaces had their classes in common and nothing else.

    In every way of `exchanges` each session of the first space is compared with another session of its class of the
    second, tile k of the `representatives` with tile k, so that what is nested inside sessions stays so. Their
    `measures.hsic` is divided as the CKA of the pair is. With N tiles for all the null is wider by about √2 / N,
    the standard error of the CKA of N independent tiles: less than 0.01.

    HSIC is linear in each of its two kernels, so it is ⟨Φ(K), L⟩ with Φ of `_weights`, found once per space.

    Args:
        embeddings: of each space, shape (tile, dim).
        own: `measures.hsic` of each space with itself, shape (space,).
        session: number of the session of each tile, from 0 without gaps, shape (tile,).
        moment: number of the moment of each tile, shape (tile,).
        label: number of the label of each tile, shape (tile,).

    Returns:
        Mean and 95th percentile over the exchanges, each of shape (space, space), row the first space of a pair; all
        missing where sessions cannot be exchanged, see `why_none`, or there are fewer than four.
    """
    spaces = len(embeddings)
    nothing = np.full((spaces, spaces), np.nan)
    if why_none(session, label) or session.max() < 3:
        return nothing, nothing
    rows, main = representatives(session, moment, label)
    tiles = [_centred(x, session)[rows] for x in embeddings]  # (session, m, dim) each
    weights = np.stack([_weights(x).ravel() for x in tiles])
    found = np.zeros((EXCHANGES, spaces, spaces))
    for number, way in enumerate(exchanges(main)):
        moved = [x[way].reshape(rows.size, -1) for x in tiles]
        found[number] = weights @ np.stack([(x @ x.T).ravel() for x in moved]).T
    root = np.sqrt(np.where(own > 0, own, np.nan))
    found /= np.outer(root, root)
    return found.mean(axis=0), np.percentile(found, PERCENTILE, axis=0)


def _centred(embedding: npt.NDArray[np.floating], session: Lists) -> Floats:
    x = embedding.astype(np.float64)
    return x - session_means(x, session).mean(axis=0)


def _weights(tiles: Floats) -> Floats:
    """Φ(K): HSIC of `measures.hsic` is the sum of Φ(K) ∘ L for every kernel L of tiles in the same places.

    With S sessions s, t of m tiles k, l each, K̄ the means of K over the tiles of two different sessions, K(sk,t) its
    mean over the tiles of session t, R the sum of these over all t other than s and r its mean over k:
    Φ(sk,tl) = [K(sk,tl) + (ΣK̄ - 2 rₛ - 2 rₜ + 2 K̄(s,t)) / (S-2)(S-3) - 2 (R(sk) - K(sk,t)) / (S-2)] / S(S-1) m², and 0
    where s = t.

    Args:
        tiles: shape (session, m, dim).

    Returns:
        Shape (session · m, session · m).
    """
    s, m = tiles.shape[:2]
    other = ~np.eye(s, dtype=bool)
    kernel = np.einsum("skd,tld->sktl", tiles, tiles, optimize=True)
    to_session = kernel.mean(axis=3) * other[:, None]  # K(sk,t): (s, k, t)
    to_all = to_session.sum(axis=2)  # R: (s, k)
    means, row = to_session.mean(axis=1), to_all.mean(axis=1)
    pairs = (means.sum() - 2 * row[:, None] - 2 * row + 2 * means) / ((s - 2) * (s - 3))
    three = 2 * (to_all[:, :, None] - to_session) / (s - 2)
    weights = (kernel + (pairs[:, None] - three)[..., None]) * other[:, None, :, None]
    return np.asarray(weights.reshape(s * m, s * m) / (s * (s - 1) * m * m), np.float64)
