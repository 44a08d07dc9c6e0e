"""Kernel distance between two sets of features: KID where they are Inception's (Binkowski et al. 2018)."""

import numpy as np


def kernel_distance(real: np.ndarray, synthetic: np.ndarray, subsets: int, size: int, seed: int) -> tuple[float, float]:
    """Mean and standard deviation (divided by `subsets`) of the unbiased squared MMD over random subsets.

    The mean has no bias at any sample size; it can be slightly negative. The standard deviation is that of an estimate
    from `size` images, not the error of the mean.

    Args:
        real, synthetic: (n, f) and (m, f).
        subsets: how many; in each, the two subsets are drawn without replacement.
        size: rows of each subset, 2 to min(n, m), otherwise ValueError.
        seed: of the draws.
    """
    if not 2 <= size <= min(len(real), len(synthetic)):
        raise ValueError(f"subsets of {size} rows from {len(real)} and {len(synthetic)}")
    rng = np.random.default_rng(seed)
    estimates = [
        squared_mmd(*(each[rng.permutation(len(each))[:size]] for each in (real, synthetic))) for _ in range(subsets)
    ]
    return float(np.mean(estimates)), float(np.std(estimates))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3) under k(a, b) = (a.b / f + 1)^3.

    Args:
        x, y: (n, f) and (m, f), n and m at least 2.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    within = sum(_mean_of_others(_kernel(each, each)) for each in (x, y))
    return float(within - 2 * _kernel(x, y).mean())


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _mean_of_others(kernel: np.ndarray) -> float:
    """The mean without the diagonal."""
    return (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))
