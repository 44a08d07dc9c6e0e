"""Images from noise: the same seed makes the same images, whatever the number of them and the batch size."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

BATCH = 64

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def normal(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Standard normal float32 numbers."""
    return random.standard_normal(shape, np.float32)


def uniform(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """float32 numbers uniform in [-1, 1)."""
    return 2 * random.random(shape, np.float32) - 1


def noise(count: int, latent_size: int, seed: int, draw: Draw = normal) -> np.ndarray:
    """float32 (count, latent_size)."""
    return draw(np.random.default_rng(seed), (count, latent_size))


def sampler(generator: keras.Model) -> Callable[..., np.ndarray]:
    """A function from noise (n, latent size) to the generator's images (n, h, w), float32, in one traced graph.

    For a generator of [noise, class] the function takes classes (n,), integers, too. The graph takes batches of one
    size, filled up with zeros, so that an image does not depend on its batch.
    """
    signatures = [tf.TensorSpec((BATCH, *each.shape[1:]), each.dtype) for each in generator.inputs]

    def make(*inputs: tf.Tensor) -> tf.Tensor:
        return generator(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    # The concrete function: TensorFlow warns of many traced functions from one line, and each generator needs its own.
    call = tf.function(make).get_concrete_function(*signatures)

    def sample(*inputs: np.ndarray) -> np.ndarray:
        pieces = []
        for start in range(0, len(inputs[0]), BATCH):
            given = [values[start : start + BATCH] for values in inputs]
            images = call(*(_filled(part, each) for part, each in zip(given, signatures, strict=True)))
            pieces.append(images.numpy()[: len(given[0]), ..., 0].astype(np.float32))
        return np.concatenate(pieces)

    return sample


def _filled(values: np.ndarray, signature: tf.TensorSpec) -> tf.Tensor:
    filled = np.zeros(signature.shape, signature.dtype.as_numpy_dtype)
    filled[: len(values)] = values
    return tf.constant(filled)


def streamed(
    generator: keras.Model, count: int, seed: int, draw: Draw = normal, label: int | None = None
) -> Iterator[np.ndarray]:
    """`count` images in batches (n, h, w), one at a time in memory; `label`: the class, of a generator of classes."""
    sample, random = sampler(generator), np.random.default_rng(seed)
    size = generator.inputs[0].shape[1]
    for start in range(0, count, BATCH):
        # The generator's stream of numbers does not depend on how many are drawn at once: the same as in `noise`.
        vectors = draw(random, (min(BATCH, count - start), size))
        yield sample(vectors) if label is None else sample(vectors, np.full(len(vectors), label))


def between(first: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
    """Noise (steps, latent size) on the great circle from one vector to another.

    Spherical interpolation (White 2016, "Sampling generative networks"): a straight line passes through lengths that
    normal vectors of many numbers never have.
    """
    cosine = float(first @ last / np.linalg.norm(first) / np.linalg.norm(last))
    angle = np.arccos(np.clip(cosine, -1, 1))
    t = np.linspace(0, 1, steps)[:, None]
    if angle < 1e-6:
        return ((1 - t) * first + t * last).astype(np.float32)
    return ((np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / np.sin(angle)).astype(np.float32)
