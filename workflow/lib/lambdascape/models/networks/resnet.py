"""Residual networks: He et al. 2016 (arXiv 1512.03385) in the form of the published study.

Convolutions with biases where asked, batch normalisation with the defaults of Keras, 1×1 projections where the shape
changes. The bottlenecks of ResNet50 stride in their 3×3 convolution, as all implementations of today do.
"""

from collections.abc import Callable
from typing import Any

from keras import layers

from lambdascape.core.declarations import network

Tensor = Any
Convolution = Callable[[Tensor, int, int, int, str], Tensor]
Block = Callable[[Tensor, int, int, Convolution, str], Tensor]
# Blocks in each stage.
DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
EXPANSION = 4  # a bottleneck gives so many times the filters of its 3×3 convolution


@network("resnet18", label="ResNet18")
def resnet18(tiles: Tensor, convolution: Convolution, width: int) -> Tensor:
    """ResNet18; `width`: filters of the stem, 64 in the published study."""
    return _resnet(tiles, convolution, width, DEPTHS["resnet18"], _basic_block)


@network("resnet34", label="ResNet34")
def resnet34(tiles: Tensor, convolution: Convolution, width: int) -> Tensor:
    """ResNet34, see `resnet18`."""
    return _resnet(tiles, convolution, width, DEPTHS["resnet34"], _basic_block)


@network("resnet50", label="ResNet50")
def resnet50(tiles: Tensor, convolution: Convolution, width: int) -> Tensor:
    """ResNet50, see `resnet18`."""
    return _resnet(tiles, convolution, width, DEPTHS["resnet50"], _bottleneck)


def _resnet(tiles: Tensor, convolution: Convolution, width: int, depths: tuple[int, ...], block: Block) -> Tensor:
    x = convolution(tiles, width, 7, 2, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage, depth in enumerate(depths):
        for number in range(depth):
            stride = 2 if stage > 0 and number == 0 else 1
            x = block(x, width * 2**stage, stride, convolution, f"stage{stage + 1}_block{number + 1}")
    return x


def _basic_block(x: Tensor, filters: int, stride: int, convolution: Convolution, name: str) -> Tensor:
    y = convolution(x, filters, 3, stride, f"{name}_first")
    y = layers.ReLU(name=f"{name}_first_relu")(y)
    y = convolution(y, filters, 3, 1, f"{name}_second")
    return _joined(x, y, stride, convolution, name)


def _bottleneck(x: Tensor, filters: int, stride: int, convolution: Convolution, name: str) -> Tensor:
    y = convolution(x, filters, 1, 1, f"{name}_first")
    y = layers.ReLU(name=f"{name}_first_relu")(y)
    y = convolution(y, filters, 3, stride, f"{name}_second")
    y = layers.ReLU(name=f"{name}_second_relu")(y)
    y = convolution(y, EXPANSION * filters, 1, 1, f"{name}_third")
    return _joined(x, y, stride, convolution, name)


def _joined(x: Tensor, y: Tensor, stride: int, convolution: Convolution, name: str) -> Tensor:
    """The block's input beside what it has made, projected where the shapes differ."""
    if stride != 1 or x.shape[-1] != y.shape[-1]:
        x = convolution(x, y.shape[-1], 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))
