"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003)."""

import numpy as np

from kerasgan.metrics.ssim import BORDER, components

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, section 3.2, the finest first
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
        maps = components(x, y, data_range)
        luminance, structure = (each[:, BORDER:-BORDER, BORDER:-BORDER] for each in maps)
        values = structure * luminance if scale == count - 1 else structure
        similarity *= np.maximum(values.mean(axis=(1, 2)), 0) ** weight
        x, y = _halved(x), _halved(y)
    return similarity


def _halved(images: np.ndarray) -> np.ndarray:
    n, height, width = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
