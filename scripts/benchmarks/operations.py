"""The least that a network has to compute, counted from its layers, and how fast the machine multiplies matrices."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from kerasgan.gan.layers import UpConv2D


def multiplications(network: keras.Model) -> list[int]:
    """Multiplications of a forward pass on one image, for each convolution in the network's order.

    The gradients with respect to a layer's kernel and to its input take as many each. Products with padding count,
    biases and activations do not: both are a few per cent.
    """
    convolutions = [layer for layer in network.layers if isinstance(layer, (keras.layers.Conv2D, UpConv2D))]
    return [_multiplications(layer) for layer in convolutions]


def _multiplications(layer: keras.layers.Layer) -> int:
    size, _, channels, filters = layer.kernel.shape
    if isinstance(layer, UpConv2D):
        # Along an axis, the two output pixels of an input pixel have k + 1 distinct taps together, not 2 k.
        return math.prod(layer.input.shape[1:3]) * (size + 1) ** 2 * channels * filters
    return math.prod(layer.output.shape[1:3]) * size**2 * channels * filters


def matrix_products(dtype: str, quick: bool) -> dict[int, tuple[float, Callable[[], None]]]:
    """Size of a square matrix -> (floating-point operations, a call that does them)."""
    total = 2e6 if quick else 3.4e10  # per call: 0.1 s where 367 GFLOP/s are reached
    sizes = (64,) if quick else (1024, 2048, 4096)
    return {size: _products(size, dtype, max(1, round(total / (2 * size**3)))) for size in sizes}


def _products(size: int, dtype: str, count: int) -> tuple[float, Callable[[], None]]:
    a, b = (tf.cast(tf.random.stateless_normal((size, size), (seed, 0)), dtype) for seed in (1, 2))

    def multiply() -> None:
        for _ in range(count):  # one by one: in a graph, equal products would be computed once
            tf.matmul(a, b)

    return 2.0 * size**3 * count, multiply
