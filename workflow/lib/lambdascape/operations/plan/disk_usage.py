"""How much disk a study takes."""

from collections.abc import Iterator
from typing import NamedTuple

from lambdascape.config.settings import Network
from lambdascape.datasets.archives import AT_ONCE, UNPACKED_PER_BYTE
from lambdascape.operations.plan.audio_volume import Extent
from lambdascape.study.paths import Study

NUMBER = 4  # bytes of a float32
NAMES = 270  # bytes for what stands beside an embedding: clip, moment, session, node, fold, label, start
# Blocks in each stage, and whether they are bottlenecks, see `network`, which would cost seconds to import.
BLOCKS = {"resnet18": ((2, 2, 2, 2), False), "resnet34": ((3, 4, 6, 3), False), "resnet50": ((3, 4, 6, 3), True)}
EXPANSION = 4


class Weights(NamedTuple):
    """Numbers of a network: those that training moves, and all."""

    trained: int
    all: int


class DiskUsage(NamedTuple):
    """One line of the bill: what, bytes (None where the audio is not known), how it was reckoned."""

    what: str
    bytes: float | None
    how: str


def rooms(study: Study, extent: Extent | None) -> Iterator[DiskUsage]:
    """What the study will keep on disk; tables, figures and the report are small beside it.

    Args:
        study: the study.
        extent: how much audio it has; None where nobody knows yet.
    """
    recipe, dim = study.settings.features, study.settings.network.embedding_dim
    mels, networks = recipe.n_mels, [run.network for run in study.run_settings.values()]
    if study.archives:
        yield _downloaded(study)
    stored = None if extent is None else 2 * mels * extent.seconds * recipe.sr / recipe.hop_length
    yield DiskUsage(
        "features",
        stored,
        f"{recipe.sr / recipe.hop_length:g} frames a second × {mels} bands × 2 bytes",
    )
    yield DiskUsage("their shards, for a while", stored, "deleted when the store is whole")
    widths = [network.embedding_dim for network in networks] + [dim] * len(study.untrained) + [mels]
    yield DiskUsage(
        "embeddings",
        None if extent is None else float(sum(extent.tiles * (NUMBER * width + NAMES) for width in widths)),
        f"{len(widths)} spaces × tiles × (dimensions × 4 + about {NAMES}) bytes",
    )
    if unknown := sorted({network.architecture for network in networks} - set(BLOCKS)):
        yield DiskUsage("networks and checkpoints", None, f"not known for networks of plugins ({', '.join(unknown)})")
        return
    weights = list(map(parameters, networks))
    yield DiskUsage(
        "networks",
        float(NUMBER * sum(one.all for one in weights)),
        f"{len(networks)} × {_range(weights)} numbers × 4 bytes",
    )
    yield DiskUsage(
        "checkpoints",
        float(NUMBER * sum(one.all + 2 * one.trained for one in weights)),
        "the same with two moments of Adam; may be deleted afterwards",
    )


def _downloaded(study: Study) -> DiskUsage:
    """Archives and what they unpack to; of those that are drained, only as many as are there at once."""
    sizes = sorted((archive.bytes_nominal for archive in study.archives.values()), reverse=True)
    if study.keeps_audio:
        words = f"archives, and {UNPACKED_PER_BYTE:g} times as much unpacked; archives may be deleted then"
        return DiskUsage("archives, audio", sum(sizes) * (1 + UNPACKED_PER_BYTE), words)
    words = f"{AT_ONCE} archives at a time with their audio"
    return DiskUsage("archives, for a while", sum(sizes[:AT_ONCE]) * (1 + UNPACKED_PER_BYTE), words)


def parameters(network: Network) -> Weights:
    """Numbers of an embedder.

    Args:
        network: the config's block `network`.
    """
    convolutions = list(_convolutions(network))
    biases = sum(out for *_, out in convolutions)  # as many as normalised channels
    kernels = sum(size * size * inside * out for size, inside, out in convolutions)
    head = (convolutions[-1][2] + 1) * network.embedding_dim
    fixed = kernels + (biases if network.conv_biases else 0) + head
    return Weights(fixed + 2 * biases, fixed + 4 * biases)


def _convolutions(network: Network) -> Iterator[tuple[int, int, int]]:
    """Size, channels in and channels out of each convolution, the last of the last block's own ones at the end."""
    depths, bottleneck = BLOCKS[network.architecture]
    channels = network.width
    yield 7, 1, channels
    for stage, depth in enumerate(depths):
        filters = network.width * 2**stage
        out = filters * (EXPANSION if bottleneck else 1)
        for number in range(depth):
            if channels != out or (stage > 0 and number == 0):
                yield 1, channels, out
            if bottleneck:
                yield from ((1, channels, filters), (3, filters, filters), (1, filters, out))
            else:
                yield from ((3, channels, filters), (3, filters, out))
            channels = out


def _range(weights: list[Weights]) -> str:
    counts = sorted({one.all for one in weights})
    return f"{counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "")
