"""Measuring in turns, so that a machine that is slower for a while is slower for everything compared."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as another kerasgan is: the median over the rounds and their quartiles."""

    median: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.median:.2f} times as fast ({self.lower:.2f} to {self.upper:.2f})"


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured, and, of something that kerasgan is compared with, the ratio.

    `expected` is in words, "at least 1.25"; it is printed beside the ratio, never enforced.
    """

    what: str
    value: float
    unit: str
    ratio: Ratio | None = None
    expected: str = ""


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds that each of `calls` took, (rounds,) by name; each round has every call once.

    Every call is made once beforehand, unmeasured: it traces graphs and fills caches. A call must have finished its
    work when it returns.
    """
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(rounds):
        first = number % len(names)  # another one begins each round
        for name in names[first:] + names[:first]:
            begun = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - begun)
    return {name: np.array(values) for name, values in seconds.items()}


def times_as_fast(ours: np.ndarray, theirs: np.ndarray) -> Ratio:
    """The ratio of seconds for the same work, taken round by round."""
    lower, median, upper = np.percentile(theirs / ours, (25, 50, 75))
    return Ratio(float(median), float(lower), float(upper))


def rate(work: float, seconds: np.ndarray) -> float:
    """Units of work in a second, from the median round."""
    return float(work / np.median(seconds))
