"""Fréchet distance between two sets of features: FID where they are Inception's (Heusel et al. 2017)."""

import numpy as np


def frechet_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """The squared Fréchet (2-Wasserstein) distance between normal distributions with the sets' means and covariances.

    |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), Heusel et al. 2017; covariances with n - 1. With centred
    features X = sqrt(n - 1) Q R, so that R'R is the covariance, the trace of the root is the sum of the singular values
    of R1 R2': exact also where a covariance is singular, while a matrix root, or the root of a rounded eigenvalue,
    loses half of the digits.

    The estimate is biased upwards, about as 1 / n, and by an amount that depends on the generator (Binkowski et al.
    2018; Chong and Forsyth 2020): compare numbers of equal n alone. With n <= f the covariance has a rank
    of n - 1 at most, and the distance of two samples of one distribution stays far from 0.

    Args:
        real, synthetic: (n, f) and (m, f), finite; n and m at least 2, otherwise ValueError.

    Returns:
        The distance in squared units of the features, 0 for equal means and covariances.
    """
    if min(len(real), len(synthetic)) < 2:
        raise ValueError("a covariance needs two or more rows")
    means, roots = zip(*(_moments(np.asarray(each, np.float64)) for each in (real, synthetic)), strict=True)
    traces = sum(float(np.square(root).sum()) for root in roots)
    shared = float(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum())
    return max(0.0, float(np.square(means[0] - means[1]).sum()) + traces - 2 * shared)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (f,), and R (min(n, f), f) with R'R the covariance."""
    mean = features.mean(axis=0)
    return mean, np.linalg.qr(features - mean, mode="r") / np.sqrt(len(features) - 1)
