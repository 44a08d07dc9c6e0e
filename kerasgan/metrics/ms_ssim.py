"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003)."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from kerasgan.metrics.ssim import K1, K2, SIGMA, TRUNCATE

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, section 3.2, the finest first
BORDER = int(TRUNCATE * SIGMA + 0.5)  # half of the window of 11 pixels
WINDOW = 2 * BORDER + 1


def scales_of(height: int, width: int) -> int:
    """How many of the five scales fit: at each the image, halved every time, is 11x11 or more; five need 176 pixels."""
    return sum(min(height, width) >> scale >= WINDOW for scale in range(len(WEIGHTS)))


def ms_ssim(reference: np.ndarray, image: np.ndarray, data_range: float) -> np.ndarray:
    """Mean MS-SSIM of each image of a batch, in [0, 1].

    Scale by scale, halved by means of 2x2 pixels: mean contrast-structure, at the coarsest scale with luminance, each
    to its weight (eq. 7). Images of fewer than 176 pixels have the first `scales_of` scales alone, whose weights are
    divided by their sum: not comparable across sizes. A negative mean counts as 0, as in `tf.image.ssim_multiscale`.

    Args:
        reference, image: (n, height, width), at least 11x11; a last odd row or column is dropped before halving.
        data_range: largest possible difference; 2 for images in [-1, 1].

    Returns:
        float64 (n,).
    """
    x, y = np.asarray(reference, np.float64), np.asarray(image, np.float64)
    count = scales_of(*x.shape[1:])
    weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])
    similarity = np.ones(len(x))
    for scale, weight in enumerate(weights):
        luminance, structure = _maps(x, y, data_range)
        values = structure * luminance if scale == count - 1 else structure
        similarity *= np.maximum(values.mean(axis=(1, 2)), 0) ** weight
        x, y = _halved(x), _halved(y)
    return similarity


def _maps(x: np.ndarray, y: np.ndarray, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Luminance, and contrast times structure, where the window lies within the image."""
    mean_x, mean_y = _smooth(x), _smooth(y)
    variances = _smooth(x * x) - mean_x**2 + _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    return (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1), (2 * covariance + c2) / (variances + c2)


def _smooth(images: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        images = gaussian_filter1d(images, SIGMA, axis=axis, truncate=TRUNCATE)
    return images[:, BORDER:-BORDER, BORDER:-BORDER]


def _halved(images: np.ndarray) -> np.ndarray:
    n, height, width = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
