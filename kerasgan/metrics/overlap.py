"""Overlap of a predicted and a true region: Dice (1945) and intersection over union (Jaccard 1912).

Regions are (n, ...), one number comes of each of the n, so that (n, height, width) gives slices and
(1, slices, height, width) a volume. A prediction is a probability, counted above 0.5, or a decision of 0 and
1; one that is not a number is a UserError. A mask holds 0 and 1 alone, anything else raises ValueError, as does another
shape. Where both are empty the prediction is right and the measure, 0 / 0 in the equations, is 1; where one of them is
empty it is 0.
"""

import numpy as np

from kerasgan.errors import UserError

THRESHOLD = 0.5


def hard_dice(prediction: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """2 TP / ((TP + FP) + (TP + FN)), float64 (n,), 0 to 1: Mehra et al. 2022, eq. (4)."""
    tp, fp, fn = _counts(prediction, mask)
    return _share(2 * tp, 2 * tp + fp + fn)


def iou(prediction: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """TP / (TP + FP + FN), float64 (n,), 0 to 1: Mehra et al. 2022, eq. (5)."""
    tp, fp, fn = _counts(prediction, mask)
    return _share(tp, tp + fp + fn)


def _counts(prediction: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """True positive, false positive and false negative pixels of each region."""
    prediction, mask = np.asarray(prediction), np.asarray(mask)
    if prediction.shape != mask.shape:
        raise ValueError(f"a prediction of shape {prediction.shape} for masks of shape {mask.shape}")
    if not np.isin(mask, (0, 1)).all():
        raise ValueError("a mask holds 0 and 1 alone")
    if np.isnan(prediction).any():
        raise UserError(
            f"{np.isnan(prediction).sum()} of {prediction.size} predicted pixels are not a number; expected "
            "probabilities; the training of the network diverged: train it anew with a lower learning rate"
        )
    found, true = (each.reshape(len(each), -1) for each in (prediction > THRESHOLD, mask == 1))
    return tuple(each.sum(axis=1) for each in (found & true, found & ~true, ~found & true))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(len(whole)), where=whole > 0)
