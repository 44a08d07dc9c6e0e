"""Structural similarity (Wang et al. 2004)."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

SIGMA = 1.5  # pixels, Wang 2004; the window is cut at 3.5 sigma as in scikit-image: 11x11
TRUNCATE = 3.5
BORDER = int(TRUNCATE * SIGMA + 0.5)  # pixels from the window's middle to its end
K1, K2 = 0.01, 0.03


def ssim(reference: np.ndarray, image: np.ndarray, data_range: float, region: np.ndarray | None = None) -> np.ndarray:
    """Mean SSIM of each image of a batch, in [-1, 1].

    Equals scikit-image's `structural_similarity(gaussian_weights=True, use_sample_covariance=False)`, which leaves
    out a border of half a window; with a region, the mean of the full SSIM map over the region.

    Args:
        reference, image: (n, height, width), at least 11x11.
        data_range: largest possible difference; 2 for images in [-1, 1].
        region: bool (n, height, width): the pixels that count. An image whose region is empty gives NaN.

    Returns:
        float64 (n,).
    """
    luminance, structure = components(reference, image, data_range)
    similarity = luminance * structure
    if region is None:
        return similarity[:, BORDER:-BORDER, BORDER:-BORDER].mean(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return (similarity * region).sum(axis=(1, 2)) / region.sum(axis=(1, 2))


def components(reference: np.ndarray, image: np.ndarray, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """The maps of luminance, and of contrast times structure, each float64 (n, height, width)."""
    x, y = np.asarray(reference, np.float64), np.asarray(image, np.float64)
    mean_x, mean_y = _smooth(x), _smooth(y)
    variances = _smooth(x * x) - mean_x**2 + _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    return (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1), (2 * covariance + c2) / (variances + c2)


def _smooth(images: np.ndarray) -> np.ndarray:
    rows = gaussian_filter1d(images, SIGMA, axis=1, truncate=TRUNCATE)
    return gaussian_filter1d(rows, SIGMA, axis=2, truncate=TRUNCATE)
