"""Neural style transfer (eqs. 12 to 16): the content of one image in the style of another.

What the paper leaves open (assumed): the content of eq. (12) is of conv4_2 alone, as its architecture section says; the
unknowns are the grey levels of one channel, 0 to 255, which eq. (15) writes as W * H numbers; the start is the content
image; the outcome is clipped to the range of images. Eq. (16) is minimised over the image, as in Gatys et al. 2015, to
whom the paper refers: "to update all the weights" cannot be meant of a network whose features define the loss.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import tensorflow as tf
from keras import Model
from keras.models import clone_model

from kerasgan.papers.aggrgan.lbfgs import Minimiser
from kerasgan.papers.aggrgan.settings import StyleSettings
from kerasgan.papers.aggrgan.vgg19 import Vgg19
from kerasgan.papers.aggrgan.winograd import faster

BGR_MEANS = (103.939, 116.779, 123.68)  # of ImageNet, which VGG's images are centred by
HALF_RANGE = 127.5  # grey levels


@dataclass(frozen=True)
class LossWeights:
    """The weights of eq. (16), and the layers of VGG-19 that its terms look at."""

    content: float
    style: float
    variation: float
    style_layers: tuple[str, ...]  # of equal weight (stated)
    content_layer: str

    @classmethod
    def of(cls, own: StyleSettings) -> Self:
        """Those of the settings."""
        return cls(own.content, own.style, own.variation, own.style_layers, own.content_layer)


@dataclass(frozen=True)
class Transferred:
    """Images after style transfer and how they came about."""

    images: np.ndarray  # float32 (n, height, width) in [-1, 1]
    losses: np.ndarray  # float64 (iterations + 1, n), eq. (16) at the start and after each iteration
    weights: str  # of VGG-19, in words


def transfer(
    content: np.ndarray,
    style: np.ndarray,
    vgg: Vgg19,
    weights: LossWeights,
    *,
    iterations: int,
    batch_size: int,
    progress: Callable[[np.ndarray], None] | None = None,
) -> Transferred:
    """Give each content image the style of its style image, by L-BFGS from the content image.

    The same arguments give the same bytes on one machine with TensorFlow's deterministic operations; another
    `batch_size` changes rounding, which grows over the iterations.

    Args:
        content, style: (n, height, width) in [-1, 1], at least 16x16.
        vgg: the network of the losses.
        weights: of the three losses, and their layers.
        iterations: of L-BFGS, for each image.
        batch_size: images that are worked on at once.
        progress: called after each iteration of each batch with the losses (b,) of the batch's images.

    Raises:
        ValueError: content and style differ in shape or are not finite.
    """
    if content.shape != style.shape or not (np.isfinite(content).all() and np.isfinite(style).all()):
        raise ValueError(f"expected finite content and style of one shape, got {content.shape} and {style.shape}")
    objective, minimiser = _prepared(vgg.network, weights)
    images, losses = [], []
    with _whole_float32():
        for first in range(0, len(content), batch_size):
            batch = slice(first, first + batch_size)
            start = grey_levels(content[batch])
            targets = objective.targets(start, grey_levels(style[batch]))
            points, curve = minimiser(start.reshape(len(start), -1), iterations, [targets], progress)
            images.append(points.reshape(start.shape))
            losses.append(curve)
    found = np.clip(np.concatenate(images) / HALF_RANGE - 1, -1, 1).astype(np.float32)
    return Transferred(found, np.concatenate(losses, axis=1), vgg.weights)


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Without TF32, in which some GPUs convolve: it cannot show the decreases that line searches ask for."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def grey_levels(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] as grey levels from 0 to 255, not rounded."""
    return (np.asarray(images, np.float64) + 1) * HALF_RANGE


def features(network: Model, weights: LossWeights) -> Model:
    """The network, cut after the last layer that a loss looks at, with the maps of each as a dictionary.

    The weights are those that `network` has now: wide convolutions are `faster`.
    """
    maps = {name: network.get_layer(name).output for name in (*weights.style_layers, weights.content_layer)}
    return clone_model(Model(network.input, maps), clone_function=faster)


class Targets(NamedTuple):
    """What the images of a batch are compared with."""

    images: tf.Tensor  # (n, height, width), the content in grey levels
    content: tf.Tensor  # its maps at the content layer
    grams: dict[str, tf.Tensor]  # of the style, by layer


class Objective:
    """Eq. (16) of each image of a batch with its gradient, as `Minimiser` takes it."""

    def __init__(self, network: Model, weights: LossWeights):
        """`network` is of `features`, with the same weights."""
        self.network, self.weights = network, weights

    def targets(self, content: np.ndarray, style: np.ndarray) -> Targets:
        """Of content and style (n, height, width) in grey levels."""
        maps = self._maps(style)
        grams = {layer: gram(maps[layer]) for layer in self.weights.style_layers}
        return Targets(tf.constant(content), self._maps(content)[self.weights.content_layer], grams)

    def __call__(self, flat: tf.Tensor, targets: Targets) -> tuple[tf.Tensor, tf.Tensor]:
        """Losses float64 (n,) and their gradients by the grey levels, float64 (n, height width)."""
        with tf.GradientTape() as tape:
            tape.watch(flat)
            losses = self.losses(tf.reshape(flat, targets.images.shape), targets)
        return losses, tape.gradient(losses, flat)

    def losses(self, images: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Eq. (16) of images (n, height, width) in grey levels, float64 (n,)."""
        maps, own = self._maps(images), self.weights
        style = sum(style_loss(targets.grams[name], maps[name]) for name in own.style_layers) / len(own.style_layers)
        content = content_loss(targets.content, maps[own.content_layer])
        total = own.content * content + own.style * style
        return tf.cast(total, tf.float64) + own.variation * total_variation(images)

    def _maps(self, images: tf.Tensor | np.ndarray) -> dict[str, tf.Tensor]:
        return self.network(preprocessed(tf.cast(images, self.network.inputs[0].dtype)), training=False)


@lru_cache(maxsize=1)
def _prepared(network: Model, weights: LossWeights) -> tuple[Objective, Minimiser]:
    """Kept for the next call: transformed kernels and traced graphs take seconds and hundreds of megabytes."""
    objective = Objective(features(network, weights), weights)
    return objective, Minimiser(objective)


def preprocessed(images: tf.Tensor) -> tf.Tensor:
    """Grey levels (n, h, w) as VGG takes them, (n, h, w, 3): blue, green and red less ImageNet's means."""
    return images[..., None] - tf.constant(BGR_MEANS, images.dtype)


def content_loss(target: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Eq. (12): half the sum of squared differences of feature maps (n, h, w, c), per image (n,)."""
    return tf.reduce_sum(tf.square(maps - target), axis=(1, 2, 3)) / 2


def gram(maps: tf.Tensor) -> tf.Tensor:
    """Eq. (13): inner products of the filters' maps (n, h, w, A), as (n, A, A)."""
    rows = tf.reshape(maps, (-1, maps.shape[1] * maps.shape[2], maps.shape[3]))
    return tf.matmul(rows, rows, transpose_a=True)


def style_loss(target: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Eq. (14) of one layer, unweighted: sum (G - H)^2 / (4 A^2 B^2), A filters of B pixels, per image (n,)."""
    _, height, width, filters = maps.shape
    # Divided first: squares of Gram matrices leave little of float32's range.
    difference = (gram(maps) - target) / (2 * filters * height * width)
    return tf.reduce_sum(tf.square(difference), axis=(1, 2))


def total_variation(images: tf.Tensor) -> tf.Tensor:
    """Eq. (15): the sum of squared differences of neighbouring pixels of images (n, h, w), per image (n,)."""
    rows, columns = images[:, 1:] - images[:, :-1], images[:, :, 1:] - images[:, :, :-1]
    return tf.reduce_sum(tf.square(rows), axis=(1, 2)) + tf.reduce_sum(tf.square(columns), axis=(1, 2))
