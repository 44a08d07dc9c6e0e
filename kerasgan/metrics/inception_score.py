"""Inception score of a classifier's probabilities (Salimans et al. 2016)."""

import numpy as np
from scipy.special import rel_entr


def inception_score(probabilities: np.ndarray, splits: int) -> tuple[float, float]:
    """Mean and standard deviation (divided by `splits`) of exp(E KL(p(y|x) || p(y))) over parts of the images.

    It is 1 if every image gets the same probabilities, and k if each image is surely of one class and the classes are
    equally frequent. It looks at synthetic images alone, and neither at real ones nor at variety within a class.

    Whose probabilities they are decides what it means. The scores of papers are of the ImageNet classes of Inception,
    which has seen no MR image: what it says of these is not comparable with them, nor of much meaning. A classifier
    trained on the real classes makes it one of how distinct and how balanced these are; such scores compare among those
    of one classifier only.

    Args:
        probabilities: (n, k), rows of numbers in [0, 1] with the sum 1, otherwise ValueError.
        splits: parts, of neighbouring rows and as nearly equal as can be, 1 to n, otherwise ValueError; papers take 10.
            The rows are in random order, since parts of one class each would have the score 1.

    Returns:
        The mean, in [1, k], and the standard deviation, 0 for a single part.
    """
    rows = np.asarray(probabilities, np.float64)
    if not (rows >= 0).all() or not np.allclose(rows.sum(axis=1), 1, atol=1e-3):
        raise ValueError("rows of probabilities must have the sum 1")
    if not 1 <= splits <= len(rows):
        raise ValueError(f"{splits} parts of {len(rows)} rows")
    scores = [np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()) for part in np.array_split(rows, splits)]
    return float(np.mean(scores)), float(np.std(scores))
