"""Images from noise: the same seed makes the same images, whatever the number of them and the batch size."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

BATCH = 64


def noise(count: int, latent_size: int, seed: int) -> np.ndarray:
    """Standard normal float32 (count, latent_size)."""
    return np.random.default_rng(seed).standard_normal((count, latent_size), np.float32)


def sampler(generator: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from noise (n, latent size) to the generator's images (n, h, w), float32, in one traced graph.

    The graph takes batches of one size, filled up with zeros, so that an image does not depend on its batch.
    """
    size = generator.input_shape[1]
    signature = tf.TensorSpec((BATCH, size), tf.float32)
    # The concrete function: TensorFlow warns of many traced functions from one line, and each generator needs its own.
    call = tf.function(lambda batch: generator(batch, training=False)).get_concrete_function(signature)

    def sample(vectors: np.ndarray) -> np.ndarray:
        pieces = []
        for start in range(0, len(vectors), BATCH):
            piece = vectors[start : start + BATCH]
            filled = np.zeros((BATCH, size), np.float32)
            filled[: len(piece)] = piece
            pieces.append(call(tf.constant(filled)).numpy()[: len(piece), ..., 0].astype(np.float32))
        return np.concatenate(pieces)

    return sample


def streamed(generator: keras.Model, count: int, seed: int) -> Iterator[np.ndarray]:
    """`count` images in batches (n, h, w), never more than one of them in memory."""
    sample, random = sampler(generator), np.random.default_rng(seed)
    for start in range(0, count, BATCH):
        # The generator's stream of numbers does not depend on how many are drawn at once: the same as in `noise`.
        yield sample(random.standard_normal((min(BATCH, count - start), generator.input_shape[1]), np.float32))


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
