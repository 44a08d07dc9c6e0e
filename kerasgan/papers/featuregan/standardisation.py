"""Numbers of mean 0 and standard deviation 1 in every channel, for training, and back.

Means and deviations are gathered piece by piece in float64, without holding more than a piece (`Moments`).
"""

from typing import Self

import numpy as np

from kerasgan.settings import Section

SAME = 2**-24  # a deviation of less than this share of the mean is float32's rounding of one number


class Moments(Section):
    """Of some values per channel: their number, mean, and sum of squared deviations from it."""

    values: int
    mean: list[float]
    squares: list[float]

    @classmethod
    def of(cls, array: np.ndarray) -> Self:
        """Of an array (..., channels)."""
        values = array.reshape(-1, array.shape[-1]).astype(np.float64)
        mean = values.mean(axis=0)
        with np.errstate(invalid="ignore"):  # infinite numbers give NaN, which whoever writes them refuses
            values -= mean
        squares = np.einsum("vc,vc->c", values, values)
        return cls(values=len(values), mean=mean.tolist(), squares=squares.tolist())

    def merged(self, other: Self) -> Self:
        """The moments of both sets of values (Chan, Golub, LeVeque 1979)."""
        total = self.values + other.values
        mean, shift = np.array(self.mean), np.subtract(other.mean, self.mean)
        squares = np.add(self.squares, other.squares) + shift**2 * (self.values * other.values / total)
        return Moments(values=total, mean=(mean + shift * (other.values / total)).tolist(), squares=squares.tolist())


class Standard(Section):
    """Mean and standard deviation, that of a population, of each channel.

    A channel that is the same everywhere (a ReLU that never fires) has deviation 0: its standardised numbers are 0, and
    whatever a generator makes of it is restored to the constant.
    """

    mean: list[float]
    deviation: list[float]

    @classmethod
    def of(cls, moments: Moments) -> Self:
        """Of all values that the moments are of."""
        mean, deviation = np.array(moments.mean), np.sqrt(np.array(moments.squares) / moments.values)
        return cls(mean=moments.mean, deviation=np.where(deviation > SAME * np.abs(mean), deviation, 0).tolist())

    def standardise(self, values):
        """(x - mean) / deviation of (..., channels): arrays of float16 or float32 or float32 tensors, to float32."""
        deviation = np.array(self.deviation, np.float64)
        scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        return (values - np.array(self.mean, np.float32)) * scale.astype(np.float32)

    def restore(self, standardised):
        """x deviation + mean of (..., channels), float32: the inverse of `standardise` to rounding.

        Generated numbers may be restored to negative ones, which features after ReLU never are.
        """
        return standardised * np.array(self.deviation, np.float32) + np.array(self.mean, np.float32)
