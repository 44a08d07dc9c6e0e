"""Tests of the difference between two classifiers on the same patients."""

import numpy as np
from scipy.stats import binom


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[int, int, float]:
    """McNemar's test (1947), exact and two-sided: are two classifiers right equally often?

    Patients are the rows: slices of one patient are not independent, and would make p too small.

    Args:
        correct_a, correct_b: bool (p,), whether the classifier is right about each patient.

    Returns:
        b, patients about whom only A is right; c, only B; p in (0, 1], under b ~ Binomial(b + c, 1/2), and 1 if b + c
        is 0.
    """
    correct_a, correct_b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    b, c = int((correct_a & ~correct_b).sum()), int((~correct_a & correct_b).sum())
    return b, c, min(1.0, 2 * float(binom.cdf(min(b, c), b + c, 0.5)))


def paired_permutation(difference_per_patient: np.ndarray, permutations: int, seed: int) -> float:
    """Sign-flip test (Fisher 1935), two-sided: is the mean of paired differences 0?

    Args:
        difference_per_patient: (p,), of classifier A less B, for example of the share of right slices; must be finite,
            otherwise ValueError.
        permutations: how many sign vectors are drawn; all 2^p are taken instead if they are no more.
        seed: of the draws.

    Returns:
        The share, in (0, 1], of sign vectors whose mean is at least as far from 0 as the observed one; drawn ones count
        the observed one in, (1 + k) / (1 + permutations) (Phipson and Smyth 2010).
    """
    difference = np.asarray(difference_per_patient, np.float64)
    if not np.isfinite(difference).all():
        raise ValueError("differences must be finite")
    exact = 2 ** len(difference) <= permutations
    if exact:
        bits = np.arange(2 ** len(difference))[:, None] >> np.arange(len(difference)) & 1
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (permutations, len(difference)))
    # Sums of the same numbers in another order of signs differ by rounding alone: they count as equally far.
    observed = abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    extreme = int((np.abs((2 * bits - 1) @ difference) >= observed).sum())
    return extreme / len(bits) if exact else (1 + extreme) / (1 + permutations)
