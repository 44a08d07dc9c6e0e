"""Measures of a binary classifier; class 1 is the positive one (IDH1 mutation in Ge 2020).

Arrays of `truth` and `decision` hold 0 or 1, `score` is any number that rises with the belief in class 1; anything else
raises ValueError, and a score that is not a number UserError. A measure whose class is absent is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kerasgan.errors import UserError

MEASURES = ("accuracy", "sensitivity", "specificity", "balanced_accuracy", "auc")


@dataclass(frozen=True)
class Confusion:
    """Counts of true positives, false negatives, false positives, true negatives: numbers, or equally long arrays."""

    tp: int | np.ndarray
    fn: int | np.ndarray
    fp: int | np.ndarray
    tn: int | np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, decision: np.ndarray) -> "Confusion":
        """The counts of two arrays (n,) of 0 and 1."""
        return cls(*(int(cell.sum()) for cell in _cells(truth, decision)))

    @property
    def accuracy(self) -> float:
        """Share of right decisions, 0 to 1; NaN of nothing."""
        return _share(self.tp + self.tn, self.tp + self.fn + self.fp + self.tn)

    @property
    def sensitivity(self) -> float:
        """Share of the positives that are found, 0 to 1; NaN without a positive."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of the negatives that are left alone, 0 to 1; NaN without a negative."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of sensitivity and specificity, 0 to 1, chance 0.5 (Brodersen 2010); NaN if a class is absent."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def harmonic_mean(self) -> float:
        """Harmonic mean of sensitivity and specificity, 0 to 1; 0 if both are 0, NaN if a class is absent."""
        whole = self.sensitivity + self.specificity
        return _share(2 * self.sensitivity * self.specificity, np.where(whole == 0, 1, whole))


def roc_auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve, 0 to 1, chance 0.5; NaN if a class is absent.

    The probability that a positive scores higher than a negative, a tie counting one half: the Mann-Whitney U
    statistic over the number of pairs (Hanley and McNeil 1982).
    """
    positive, score = _binary(truth), _numbers(score)
    negatives, positives = np.sort(score[~positive]), score[positive]
    below, not_above = (np.searchsorted(negatives, positives, side) for side in ("left", "right"))
    return float(_share((below + not_above).sum(), 2 * len(positives) * len(negatives)))


def roc_curve(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates, each (k + 1,) for k different scores, ascending from 0 to 1.

    Point i takes as positive the i highest different scores, so that equal scores make one diagonal step. The rate of
    an absent class is NaN.
    """
    positive, score = _binary(truth), _numbers(score)
    values, which = np.unique(score, return_inverse=True)
    counts = (np.bincount(which, chosen, len(values))[::-1] for chosen in (~positive, positive))
    false, true = (np.append(0, np.cumsum(count)) for count in counts)
    return _share(false, false[-1]), _share(true, true[-1])


def patient_vote(
    probability: np.ndarray, patients: np.ndarray, how: Literal["majority", "mean"]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Patients from their slices: "majority" is eq. (6) of Ge 2020, 1 if sum s_i > N / 2, so that a tie is class 0.

    Args:
        probability: (n,), of class 1, 0 to 1; a slice's own decision s_i is 1 above 0.5.
        patients: (n,), whose slice it is.
        how: the score is the share of a patient's slices that are decided 1 ("majority") or their mean probability
            ("mean"); the decision is 1 where the score is above 0.5.

    Returns:
        The p patients in alphabetical order, score float64 (p,) in [0, 1], decision int (p,).
    """
    probability = _numbers(probability)
    votes = {"majority": probability > 0.5, "mean": probability}[how]
    names, which = np.unique(patients, return_inverse=True)
    score = np.bincount(which, votes) / np.bincount(which)
    return names.tolist(), score, (score > 0.5).astype(int)


def summarise(truth: np.ndarray, score: np.ndarray, decision: np.ndarray) -> dict[str, float]:
    """The measures of n rows, 0 to 1: those of `Confusion`, auc, majority_rate (share of the larger class); and n."""
    confusion, share = Confusion.of(truth, decision), _binary(truth).mean()
    return {
        "accuracy": float(confusion.accuracy),
        "sensitivity": float(confusion.sensitivity),
        "specificity": float(confusion.specificity),
        "balanced_accuracy": float(confusion.balanced_accuracy),
        "auc": roc_auc(truth, score),
        "majority_rate": float(max(share, 1 - share)),
        "n": len(truth),
    }


def bootstrap(
    truth: np.ndarray,
    score: np.ndarray,
    decision: np.ndarray,
    groups: np.ndarray,
    samples: int,
    confidence: float,
    seed: int,
    measures: Sequence[str] = MEASURES,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals (Efron 1979) of auc and of measures that `Confusion` has.

    Groups (patients) are drawn with replacement within their class, as many as there are, and all rows of a group come
    together: slices of one patient are not independent. Rows may be slices, or patients with one row each.

    Args:
        truth, score, decision: (n,).
        groups: (n,), the group of each row; all rows of one have the same truth, otherwise UserError.
        samples: number of bootstrap samples.
        confidence: of the interval, between 0 and 1.
        seed: of the draws; the same seed gives the same intervals.
        measures: which ones.

    Returns:
        (low, high) of each measure, NaN where the measure is.
    """
    positive, which, labels = _grouped(truth, groups)
    rng = np.random.default_rng(seed)
    # drawn[s, g]: how often sample s holds group g. Every count of a sample is linear in it, the AUC's pairs bilinear.
    drawn = np.zeros((samples, len(labels)))
    for members in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        if members.size:
            drawn[:, members] = rng.multinomial(members.size, np.full(members.size, 1 / members.size), samples)
    cells = [drawn @ np.bincount(which, cell, len(labels)) for cell in _cells(truth, decision)]
    confusion, rows = Confusion(*cells), drawn @ np.bincount(which)
    found = {name: getattr(confusion, name) for name in measures if name != "auc"}
    if "auc" in measures:
        won = _pairs_won(positive, _numbers(score), which, len(labels))
        positives = cells[0] + cells[1]
        found["auc"] = _share(((drawn @ won) * drawn).sum(axis=1), positives * (rows - positives))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    return {name: tuple(np.quantile(values, tails).tolist()) for name, values in found.items()}


def _grouped(truth: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row whether it is positive and the number of its group; of each group whether it is positive."""
    positive = _binary(truth)
    names, which = np.unique(groups, return_inverse=True)
    share = np.bincount(which, positive) / np.bincount(which)
    mixed = names[(share > 0) & (share < 1)]
    if mixed.size:
        raise UserError(f"{mixed[0]} has slices of both classes; expected one class per patient: mend the cohort's CSV")
    return positive, which, share == 1


def _pairs_won(positive: np.ndarray, score: np.ndarray, which: np.ndarray, groups: int) -> np.ndarray:
    """won[g, h]: pairs of a positive of group g and a negative of group h that are ranked rightly, ties one half."""
    difference = score[positive][:, None] - score[~positive]
    pairs = which[positive][:, None] * groups + which[~positive]
    return np.bincount(pairs.ravel(), (np.sign(difference).ravel() + 1) / 2, groups**2).reshape(groups, groups)


def _cells(truth: np.ndarray, decision: np.ndarray) -> tuple[np.ndarray, ...]:
    """Which rows are true positives, false negatives, false positives, true negatives."""
    positive, found = _binary(truth), _binary(decision)
    return positive & found, positive & ~found, ~positive & found, ~positive & ~found


def _binary(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"classes must be 0 or 1, found {np.setdiff1d(values, (0, 1))[0]}")
    return values == 1


def _numbers(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if np.isnan(scores).any():
        raise UserError(
            f"{np.isnan(scores).sum()} of {scores.size} scores of the classifier are not a number; expected numbers: "
            "its training has diverged, train it anew with a lower learning rate"
        )
    return scores


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.true_divide(part, whole)
