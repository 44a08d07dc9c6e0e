"""How sure one may be of a share of right answers, and how far raters agree."""

from statistics import NormalDist

import numpy as np
from scipy.stats import binomtest


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval (1927) of a proportion, of 95 % confidence: lower and upper bound, both in [0, 1].

    Args:
        successes: 0 to `trials`.
        trials: at least 1, otherwise ValueError.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes of {trials} trials")
    z = NormalDist().inv_cdf(0.975)
    share, shrink = successes / trials, z * z / trials
    centre = share + shrink / 2
    half = (shrink * (share * (1 - share) + shrink / 4)) ** 0.5
    low, high = (centre - half) / (1 + shrink), (centre + half) / (1 + shrink)
    # It holds the share itself and stays within [0, 1], but for rounding, of no and of only successes.
    return max(0.0, min(share, low)), min(1.0, max(share, high))


def binomial_p(successes: int, trials: int) -> float:
    """The exact two-sided binomial test: p in (0, 1] of a count at least as unlikely as this where chance is 1/2.

    For a rater of as many real as synthetic images who guesses with any preference for one answer, the number of right
    answers has the mean of Binomial(trials, 1/2) and at most its variance, so that p errs on the large side.
    """
    return float(binomtest(successes, trials).pvalue)


def fleiss_kappa(counts: np.ndarray) -> float:
    """Fleiss' kappa (1971): agreement of several raters beyond chance.

    Args:
        counts: (n, k), how many raters put each of n things into each of k categories; every row has the same sum, at
            least 2, otherwise ValueError.

    Returns:
        At most 1, which is full agreement; 0 is what chance gives; NaN if only one category was ever used.
    """
    counts = np.asarray(counts, np.float64)
    raters = counts[0].sum()
    if raters < 2 or (counts.sum(axis=1) != raters).any():
        raise ValueError("expected the same number of raters, at least 2, for each thing")
    agreement = ((np.square(counts).sum(axis=1) - raters) / (raters * (raters - 1))).mean()
    by_chance = np.square(counts.sum(axis=0) / counts.sum()).sum()
    return float((agreement - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")
