"""Classifier two-sample tests (Lopez-Paz and Oquab 2017): do two sets come from one distribution?

Sample 0 is the real one, 1 the synthetic one; a decision is the class that a classifier which has never seen the image
gives it. Tests are one-sided: worse than chance is no evidence of a difference.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom, t

from kerasgan.metrics.nearest import nearest


def nearest_neighbour_decisions(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """1-NN: the class (m,) of the nearest of the training features (n, f) with `labels` (n,), for each of (m, f)."""
    return np.asarray(labels)[nearest(test, train)[0]]


def above_chance_p(correct: int, count: int) -> float:
    """P(at least so many right of `count`) if each is right with probability 1/2, independently of the others.

    The exact form of N(1/2, 1 / (4 count)), Lopez-Paz and Oquab 2017, section 3. Slices of one patient are not
    independent and make it too small: see `grouped_p`.
    """
    return float(binom.sf(correct - 1, count, 0.5))


def grouped_p(decision: np.ndarray, truth: np.ndarray, groups: Sequence[str]) -> float:
    """p of a held-out accuracy above 1/2 when the images come in independent groups (patients) of dependent ones.

    Compares the share of decisions for class 1 among the images of class 1 with that among those of class 0. The
    variance of each share is that of its groups' totals about the share expected under the null hypothesis, the mean
    of the two (a score test; Rao and Scott 1992 on clustered shares), the degrees of freedom are Welch's. With few
    groups p stays large however well the classes are told apart: 3 patients against 3 cannot give less than 0.058.

    A permutation of groups would need groups alike in both samples, which patients with many slices and independent
    synthetic images are not.

    Args:
        decision, truth: (n,) of 0 and 1.
        groups: (n,), the group of each image; a group has one class. Fewer than two groups of a class: p is 1.
    """
    decision, truth, groups = np.asarray(decision, np.float64), np.asarray(truth), np.asarray(groups)
    shares = [decision[truth == label].mean() for label in (0, 1)]
    variances, freedom = [], []
    for label in (0, 1):
        which = np.unique(groups[truth == label], return_inverse=True)[1]
        totals = np.bincount(which, decision[truth == label] - np.mean(shares))
        if len(totals) < 2:
            return 1.0
        variances.append(len(totals) / (len(totals) - 1) * np.square(totals).sum() / len(which) ** 2)
        freedom.append(len(totals) - 1)
    variance = sum(variances)
    if variance == 0:  # all decisions are the same
        return 1.0
    welch = variance**2 / sum(own**2 / degrees for own, degrees in zip(variances, freedom, strict=True))
    return float(t.sf((shares[1] - shares[0]) / np.sqrt(variance), welch))


def combined_p(p_values: Sequence[float]) -> float:
    """One p-value from those of several random splits of the same data: twice the median, at most 1.

    Valid whatever their dependence (Meinshausen, Meier and Bühlmann 2009, their quantile of 1/2); a single one stays.
    """
    return float(p_values[0]) if len(p_values) == 1 else min(1.0, 2 * float(np.median(p_values)))
