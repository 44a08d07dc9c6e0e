"""Peak signal-to-noise ratio."""

import numpy as np


def psnr(reference: np.ndarray, image: np.ndarray, data_range: float, region: np.ndarray | None = None) -> np.ndarray:
    """PSNR in dB of each image of a batch: 10 log10(data_range^2 / MSE).

    Args:
        reference, image: (n, height, width).
        data_range: largest possible difference; 2 for images in [-1, 1].
        region: bool (n, height, width): the pixels that count (default all). An image whose region is empty gives NaN.

    Returns:
        float64 (n,); infinite where the images are equal in all pixels that count.
    """
    squares = np.square(np.subtract(reference, image, dtype=np.float64))
    region = np.ones(squares.shape, bool) if region is None else region
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (squares * region).sum(axis=(1, 2)) / region.sum(axis=(1, 2))
        return 10 * np.log10(data_range**2 / error)
