"""The same training step in PyTorch, for `training.py`: a worker like `step_keras.py`, in an environment of its own.

ResNet18 in channels-last, the same loss, penalty and optimiser. `separate` passes anchors, neighbours and distant tiles
one after the other, which gives the same batch statistics; `joint` passes them together: other numbers, but faster.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

L2, MARGIN, LEARNING_RATE = 0.01, 1.0, 1e-5


def normalised(inputs: int, filters: int, size: int, stride: int) -> nn.Sequential:
    """A convolution and its batch normalisation, as Keras has it by default."""
    return nn.Sequential(
        nn.Conv2d(inputs, filters, size, stride, size // 2), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)
    )


class Block(nn.Module):
    """Two convolutions and what goes around them."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.first = normalised(inputs, filters, 3, stride)
        self.second = normalised(filters, filters, 3, 1)
        same = stride == 1 and inputs == filters
        self.shortcut = nn.Identity() if same else normalised(inputs, filters, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (tile, channel, frame, mel) to the same with other sizes."""
        y = self.second(functional.relu(self.first(x), inplace=True))
        return functional.relu(y + self.shortcut(x), inplace=True)


class Embedder(nn.Module):
    """ResNet18 of one channel, dropout, a linear layer, length 1."""

    def __init__(self, width: int = 64, embedding_dim: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(normalised(1, width, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        filters = [width, width, *(width * 2**stage for stage in range(4) for _ in range(2))][1:]
        strides = [2 if stage and block == 0 else 1 for stage in range(4) for block in range(2)]
        self.blocks = nn.Sequential(*map(Block, filters[:-1], filters[1:], strides))
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(filters[-1], embedding_dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (tile, 1, frame, mel) to (tile, dim)."""
        return functional.normalize(self.head(self.blocks(self.stem(x)).mean((2, 3))))


def triplet_loss(anchor: torch.Tensor, neighbour: torch.Tensor, distant: torch.Tensor) -> torch.Tensor:
    """Mean hinge over the active triplets."""
    near, far = ((anchor - other).float().square().sum(1) for other in (neighbour, distant))
    hinges = functional.relu(near - far + MARGIN)
    return hinges.sum() / (hinges > 1e-16).sum().clamp(min=1)


def stepper(options: argparse.Namespace, device: str) -> Callable[[], float]:
    """A function that makes one step on one resident batch."""
    torch.manual_seed(1)
    net = Embedder().to(device, memory_format=torch.channels_last).train()
    penalised = [p for m in net.modules() if isinstance(m, nn.Conv2d) for p in m.parameters()]
    optimiser = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    embed: Any = torch.compile(net) if device == "cuda" else net
    tiles = torch.randn(3 * options.batch, 1, options.frames, options.mels).half()
    tiles = tiles.to(device, memory_format=torch.channels_last)

    def roles() -> Sequence[torch.Tensor]:
        wide = tiles.float()
        return [embed(part) for part in wide.chunk(3)] if options.passes == "separate" else embed(wide).chunk(3)

    def step() -> float:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=options.precision == "bfloat16"):
            embedded = roles()
        total = triplet_loss(*embedded) + L2 * sum(p.square().sum() for p in penalised)
        total.backward()
        optimiser.step()
        return float(total)

    return step


def main() -> None:
    """Say the device, then answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--mels", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--gemm", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--passes", choices=["separate", "joint"], required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    matrix = torch.randn(options.gemm, options.gemm, device=device, dtype=kind)
    work = {"step": stepper(options, device), "gemm": lambda: float((matrix @ matrix)[0, 0])}
    for _ in range(2):
        work["step"]()
    print(f"{torch.cuda.get_device_name() if device == 'cuda' else device}\t{torch.__version__}", flush=True)
    while (word := sys.stdin.readline().strip()) != "peak":
        begun = time.perf_counter()
        work[word]()
        print(time.perf_counter() - begun, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
