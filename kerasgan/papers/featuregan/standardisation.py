"""Features of mean 0 and standard deviation 1 in every channel, for training, and back.

Mean and deviation are those of the training features, gathered sample by sample in float64 without holding more than a
batch: of two sets with means a and b, n and m numbers, the sum of squared distances from the common mean is the sum of
both sums and (b - a)^2 n m / (n + m) (Chan, Golub, LeVeque 1979, eq. 2.1).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kerasgan.errors import UserError


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of each channel, float64 (c,).

    A channel that is the same everywhere (a ReLU that never fires) has deviation 0, exactly: its standardised numbers
    are 0, and whatever a generator makes of it is restored to the constant.
    """

    mean: np.ndarray
    deviation: np.ndarray

    def standardise(self, features):
        """(x - mean) / deviation of features (..., c): arrays of float16 or float32 or float32 tensors, to float32."""
        scale = np.divide(1, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        return (features - self.mean.astype(np.float32)) * scale.astype(np.float32)

    def restore(self, standardised):
        """x deviation + mean of (..., c), float32: the inverse of `standardise` to rounding.

        Generated numbers may be restored to negative ones, which features after ReLU never are.
        """
        return standardised * self.deviation.astype(np.float32) + self.mean.astype(np.float32)


def measured(batches: Iterable[np.ndarray]) -> Standard:
    """The `Standard` of features (n, h, w, c), given in batches of any size and precision.

    Raises UserError without features, for numbers that are not finite, and where a batch has other channels.
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for batch in batches:
        if count and batch.shape[-1] != len(mean):
            raise UserError(
                f"features of {batch.shape[-1]} channels follow features of {len(mean)}; expected those of one block "
                "of one U-Net: extract them anew"
            )
        for sample in batch:  # a float64 copy of one sample, not of the batch
            with np.errstate(invalid="ignore"):  # numbers that are not finite are told below
                added, own_mean, own_squares = _moments(sample.reshape(-1, sample.shape[-1]))
                distance, total = own_mean - mean, count + added
                mean = mean + distance * (added / total)
                squares = squares + own_squares + distance**2 * (count * added / total)
            count = total
    if not count:
        raise UserError("there are no training features to standardise by; extract them for at least one slice")
    if not np.isfinite(squares).all():
        raise UserError(
            f"{np.count_nonzero(~np.isfinite(squares))} of {len(squares)} channels of the features have numbers that "
            "are not finite; extract them in float32, from a U-Net whose training has not diverged"
        )
    return Standard(mean, np.sqrt(squares / count))


def _moments(positions: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Of (p, c): p, and each channel's mean and sum of squared distances from it."""
    positions = positions.astype(np.float64)
    mean = positions.mean(axis=0)
    return len(positions), mean, np.square(positions - mean).sum(axis=0)
