"""Aggregation of several GANs' images (Algorithm 1): the best two, blended pixel by pixel by their edges.

What Algorithm 1 leaves open, and what is done here (assumed):

- "Sobel" is the gradient's magnitude, of the images in 8 bits, whose even background has edges of exactly 0, for which
  the algorithm has its second rule; the border is mirrored.
- "Gaussian_Function(pixel)" is taken in one of two readings. `filter`: the edge map, smoothed by a Gaussian; this
  prefers the image with the stronger edge, as the text says. `pointwise`: exp(-e^2 / (2 sigma^2)) of the edge e; this
  is the letter of the pseudo-code, but prefers the weaker edge and is 0 by underflow alone (beyond 37 sigma).
- A negative SSIM counts as 0 in the second rule, which would otherwise weigh outside of [0, 1]; two metrics of 0, or
  two infinite PSNRs, give 1/2 each; one infinite PSNR takes all.
- Line 3 resets `flag` inside of the loop over the images; it is meant before it, as in line 12.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasgan.metrics.psnr import psnr
from kerasgan.metrics.ssim import ssim

GREY_LEVELS = 255.0  # MAX of eq. (2)
TRUNCATE = 4.0  # sigmas at which the smoothing window ends, as in SciPy
METRICS: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {"ssim": ssim, "psnr": psnr}
READINGS = ("filter", "pointwise")


@dataclass(frozen=True)
class Aggregated:
    """Aggregated images and how they came about."""

    images: np.ndarray  # float32 (n, height, width) in [-1, 1]
    scores: np.ndarray  # float64 (n, GANs), of each GAN's image against the real one
    chosen: np.ndarray  # int (n, 2), the GANs whose images were blended, the better first


def aggregate(
    real: np.ndarray, generated: Sequence[np.ndarray], *, metric: str, reading: str, sigma: float
) -> Aggregated:
    """Algorithm 1: score each GAN's images against the real ones, keep the best two, blend them.

    The order of the GANs does not matter, unless the second and third score are equal: then the earlier GAN is kept.

    Args:
        real: (n, height, width) in [-1, 1], at least 11x11.
        generated: per GAN its images, shaped as `real`, in [-1, 1]; two GANs or more (in the paper three).
        metric: `ssim` or `psnr`, on the 8-bit scale (MAX 255, eq. 2).
        reading: of the "Gaussian function": `filter` or `pointwise`.
        sigma: of the Gaussian; in pixels (`filter`) or grey levels of the edge map, 0 to 1443 (`pointwise`).

    Raises:
        ValueError: an unknown metric or reading, fewer than two GANs, images that differ in shape or are not finite.
    """
    images = _checked(real, generated, metric, reading)
    grey = eight_bit(images)
    scores = np.stack([METRICS[metric](eight_bit(real), each, GREY_LEVELS) for each in grey], axis=-1)
    chosen = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    rows = np.arange(len(real))[:, None]
    gaussian = gaussian_function(sobel(grey[chosen, rows]), reading, sigma)
    weights = pixel_weights(gaussian, np.take_along_axis(scores, chosen, axis=1))
    blended = tf.reduce_sum(weights * images[chosen, rows].astype(np.float64), axis=1)
    return Aggregated(tf.cast(blended, tf.float32).numpy(), scores, chosen)


def eight_bit(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] as whole grey levels from 0 to 255, float64."""
    return np.clip(np.rint((np.asarray(images, np.float64) + 1) * (GREY_LEVELS / 2)), 0, GREY_LEVELS)


def sobel(images: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Magnitude of the Sobel gradient, kernels of 1, 2 and 1, of images (n, k, height, width)."""
    gradient = tf.image.sobel_edges(tf.transpose(images, (0, 2, 3, 1)))
    return tf.transpose(tf.norm(gradient, axis=-1), (0, 3, 1, 2))


def gaussian_function(edges: tf.Tensor, reading: str, sigma: float) -> tf.Tensor:
    """The "Gaussian function" of edge maps (n, k, height, width), in one of its two `READINGS`."""
    if reading == "pointwise":
        return tf.exp(-tf.square(edges) / (2 * sigma**2))
    radius = int(TRUNCATE * sigma + 0.5)
    window = tf.exp(-tf.square(tf.range(-radius, radius + 1, dtype=edges.dtype)) / (2 * sigma**2))
    window /= tf.reduce_sum(window)
    return _convolved(_convolved(edges, window, 2), window, 3)


def pixel_weights(gaussian: tf.Tensor, metric: np.ndarray) -> tf.Tensor:
    """Lines 16 to 29: g / (g1 + g2) where neither is 0, else metric / (metric_0 + metric_1).

    Args:
        gaussian: (n, 2, height, width), not negative.
        metric: (n, 2).

    Returns:
        (n, 2, height, width) in [0, 1]; the two of a pixel add up to 1.
    """
    total = tf.reduce_sum(gaussian, axis=1, keepdims=True)
    both = tf.reduce_all(gaussian > 0, axis=1, keepdims=True)
    by_edge = tf.math.divide_no_nan(gaussian, total)
    return tf.where(both, by_edge, metric_shares(metric)[..., None, None])


def metric_shares(metric: np.ndarray) -> np.ndarray:
    """metric / (metric_0 + metric_1) of metrics (n, 2), with the cases that the module's docstring names."""
    positive = np.maximum(metric, 0)
    infinite = np.isinf(positive)
    positive = np.where(infinite.any(axis=1, keepdims=True), infinite, positive)
    total = positive.sum(axis=1, keepdims=True)
    return np.divide(positive, total, out=np.full(metric.shape, 0.5), where=total > 0)


def _convolved(images: tf.Tensor, window: tf.Tensor, axis: int) -> tf.Tensor:
    """Images (n, k, height, width) convolved with a symmetric window along one axis, mirrored beyond their ends."""
    radius = len(window) // 2
    padding = [[0, 0]] * 4
    padding[axis] = [radius, radius]
    padded = tf.pad(images, padding, "SYMMETRIC")
    size = images.shape[axis]
    return sum(window[k] * tf.gather(padded, tf.range(k, k + size), axis=axis) for k in range(len(window)))


def _checked(real: np.ndarray, generated: Sequence[np.ndarray], metric: str, reading: str) -> np.ndarray:
    """The GANs' images as one array (GANs, n, height, width)."""
    if metric not in METRICS or reading not in READINGS:
        raise ValueError(f"expected a metric of {tuple(METRICS)} and a reading of {READINGS}: {metric}, {reading}")
    shapes = [np.shape(images) for images in generated]
    if len(shapes) < 2 or set(shapes) != {np.shape(real)}:
        raise ValueError(f"expected images of two GANs or more, shaped as the real ones {np.shape(real)}: {shapes}")
    images = np.stack(generated)
    if not (np.isfinite(images).all() and np.isfinite(real).all()):
        raise ValueError("expected images of finite numbers")
    return images
