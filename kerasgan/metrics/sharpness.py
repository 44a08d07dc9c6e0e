"""Sharpness difference of two images (Mukherjee et al. 2022, equations 5 to 7)."""

import numpy as np


def sharpness_difference(reference: np.ndarray, image: np.ndarray, data_range: float = 255.0) -> np.ndarray:
    """SD in dB of each pair of images: 10 log10(data_range^2 / d), larger for gradients that are more alike.

    d is the mean of |D(reference) - D(image)|, D(i, j) = 2 f(i, j) - f(i-1, j) - f(i, j-1), signed as in equation 7.
    *Assumed:* the sum over pixels that equation 6 leaves out; the first row and the first column, which have no pixel
    before them, count neither in it nor in the number that it is divided by (all m x n pixels would add 0.07 dB at
    128x128).

    Args:
        reference, image: (n, height, width), at least 2x2.
        data_range: the largest intensity, 255 for images of 8 bits. Since d is not squared, SD depends on the scale:
            only images from 0 to 255 give numbers that compare with the paper's.

    Returns:
        float64 (n,); infinite where all gradients are equal, so also where the images differ by a constant.

    Raises:
        ValueError: images smaller than 2x2.
    """
    # D is linear: the difference of the gradients is the gradient of the difference.
    difference = np.subtract(reference, image, dtype=np.float64)
    if min(difference.shape[1:]) < 2:
        raise ValueError(f"gradients need images of at least 2x2 pixels, got {difference.shape[1:]}")
    gradient = 2 * difference[:, 1:, 1:] - difference[:, :-1, 1:] - difference[:, 1:, :-1]
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / np.abs(gradient).mean(axis=(1, 2)))
