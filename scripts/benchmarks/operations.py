"""The least that a network has to compute, counted from its layers, and how fast the machine multiplies matrices."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kerasgan.gan.layers import UpConv2D


def multiplications(network: keras.Model) -> list[int]:
    """Multiplications of a forward pass on one image, for each convolution in the network's order.

    Gradients with respect to a layer's kernel or to its input take as many each. Biases, activations and what falls
    on padding are not told apart: they are a few per cent.
    """
    convolutions = [layer for layer in network.layers if isinstance(layer, (keras.layers.Conv2D, UpConv2D))]
    return [_multiplications(layer) for layer in convolutions]


def _multiplications(layer: keras.layers.Layer) -> int:
    height, width, channels, filters = layer.kernel.shape
    if isinstance(layer, UpConv2D):
        # In each axis the two output pixels of an input pixel have k + 1 distinct taps together, not 2 k.
        return int(np.prod(layer.input.shape[1:3])) * (height + 1) * (width + 1) * channels * filters
    return int(np.prod(layer.output.shape[1:3])) * height * width * channels * filters


def products(quick: bool) -> dict[int, Callable[[str], None]]:
    """Matrix products of some sizes: a function of the dtype that multiplies `product_operations(size)` numbers."""
    return {size: lambda dtype, size=size: _multiply(size, dtype) for size in ((64,) if quick else (1024, 2048, 4096))}
