"""Kullback-Leibler divergence of the intensity histograms of two images (Mukherjee et al. 2022, equation 4)."""

import numpy as np

LEVELS = 256  # of 8 bits, a bin each


def histogram_divergence(real: np.ndarray, generated: np.ndarray, epsilon: float) -> np.ndarray:
    """KL(P || Q) of each pair of images, in nats: P the histogram of the real image, Q of the generated one.

    Equals SciPy's `entropy(p + epsilon, q + epsilon)` of the shares p and q of the pixels at each of the 256 levels:
    with epsilon in both, which then add up to 1 again, no term is infinite and no divergence negative. An intensity of
    the real image that the generated one lacks costs its share times about ln(share / epsilon), so results for
    different epsilons cannot be compared.

    Args:
        real, generated: (n, height, width), intensities 0 to 255; those that are not whole numbers are rounded. The two
            may differ in size.
        epsilon: added to every bin's share, above 0.

    Returns:
        float64 (n,), at least 0; 0 where the histograms are equal.

    Raises:
        ValueError: intensities beyond 0 to 255, NaN, or an epsilon that is not above 0.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be above 0, got {epsilon}")
    p, q = _shares(real) + epsilon, _shares(generated) + epsilon
    p, q = (own / own.sum(axis=1, keepdims=True) for own in (p, q))
    return (p * np.log(p / q)).sum(axis=1).clip(0)  # rounding may leave -1e-17 of equal histograms


def _shares(images: np.ndarray) -> np.ndarray:
    """The share of the pixels at each level, float64 (n, 256)."""
    levels = np.rint(images).reshape(len(images), -1)
    if not (levels.min() >= 0 and levels.max() < LEVELS):  # NaN ends here too
        raise ValueError(f"intensities must be 0 to 255, found {levels.min()} to {levels.max()}")
    return np.stack([np.bincount(own, minlength=LEVELS) for own in levels.astype(np.intp)]) / levels.shape[1]
