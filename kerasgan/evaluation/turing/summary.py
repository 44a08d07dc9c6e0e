"""What raters' answers amount to: confusion counts, accuracy, its interval and test, agreement."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from kerasgan.evaluation.turing.answers import REAL, Session, sessions
from kerasgan.evaluation.turing.trial import Trial
from kerasgan.metrics.proportions import binomial_p, fleiss_kappa, wilson_interval

HEADER = ("rater", "images", "acc. %", "95 % interval", "p of 50 %", "RR", "RS", "SR", "SS")
NOTES = (
    "RS: real judged as synthetic, and so on. 50 % is chance: the lower the accuracy, the harder the images are to "
    "tell from real ones. Wilson's interval; exact two-sided binomial test against 50 %."
)
# name, accuracy in %, real as real, real as synthetic, synthetic as real, synthetic as synthetic
Published = Sequence[tuple[str, float, int, int, int, int]]


@dataclass(frozen=True)
class Counts:
    """The four counts of Han 2018, Table 1."""

    real_as_real: int
    real_as_synthetic: int
    synthetic_as_real: int
    synthetic_as_synthetic: int

    def __iter__(self):
        return iter((self.real_as_real, self.real_as_synthetic, self.synthetic_as_real, self.synthetic_as_synthetic))

    @property
    def total(self) -> int:
        return sum(self)

    @property
    def right(self) -> int:
        return self.real_as_real + self.synthetic_as_synthetic

    @property
    def accuracy(self) -> float:
        """In [0, 1]."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, of the accuracy, 95 %."""
        return wilson_interval(self.right, self.total)

    @property
    def p(self) -> float:
        """Of the binomial test against 50 %."""
        return binomial_p(self.right, self.total)


@dataclass(frozen=True)
class Summary:
    """The results of a test."""

    finished: dict[str, Counts]  # of each rater who has judged all images and finished
    unfinished: dict[str, int]  # of each other rater: how many images are judged
    images: int
    kappa: float | None  # Fleiss', of those who have finished; None if fewer than two; NaN if all answers are the same

    @property
    def pooled(self) -> Counts | None:
        """All answers of those who have finished; None without any."""
        if not self.finished:
            return None
        return Counts(*(sum(column) for column in zip(*self.finished.values(), strict=True)))

    def rows(self, published: Published = ()) -> list[list[str]]:
        """The lines under `HEADER`: raters, all of them together, those at work, and the published rows."""
        lines = [counts_row(rater, counts) for rater, counts in self.finished.items()]
        if len(self.finished) > 1:
            # Raters judge the same images, so that their answers are not independent: no interval, no test.
            name, images, accuracy, _, _, *four = counts_row(f"all {len(self.finished)} raters", self.pooled)
            lines.append([name, images, accuracy, "–", "–", *four])
        for rater, done in self.unfinished.items():
            lines.append([rater, f"{done} of {self.images}", *["–"] * 7])
        for name, accuracy, *four in published:
            _, images, _, *rest = counts_row(name, Counts(*four))
            lines.append([name, images, f"{accuracy:.1f}", *rest])
        return lines

    @property
    def agreement(self) -> str:
        """A sentence about Fleiss' kappa; "" with fewer than two raters."""
        if self.kappa is None:
            return ""
        if isnan(self.kappa):
            return "Fleiss' kappa is undefined: all raters gave one and the same answer to all images."
        return f"Fleiss' kappa of the {len(self.finished)} raters: {self.kappa:.3f} (1: they agree, 0: as by chance)."


def counts_row(name: str, counts: Counts) -> list[str]:
    """A line under `HEADER`."""
    low, high = counts.interval
    p = f"{counts.p:.3f}" if counts.p >= 0.001 else "< 0.001"
    shares = [f"{100 * counts.accuracy:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", p]
    return [name, str(counts.total), *shares, *map(str, counts)]


def summarise(trial: Trial) -> Summary:
    """The results of all raters of a test."""
    found = sessions(trial)
    done = [session for session in found if session.finished]
    return Summary(
        finished={session.rater: counts_of(trial, session) for session in done},
        unfinished={session.rater: len(session.answers) for session in found if not session.finished},
        images=len(trial.items),
        kappa=_kappa(trial, done) if len(done) > 1 else None,
    )


def counts_of(trial: Trial, session: Session) -> Counts:
    """The four counts of a session's answers."""
    table = np.zeros((2, 2), int)
    for image, answer in zip(session.order, session.answers, strict=False):
        real = trial.items[trial.number[image]].real
        table[0 if real else 1, 0 if answer == REAL else 1] += 1
    return Counts(*table.ravel().tolist())


def _kappa(trial: Trial, done: Sequence[Session]) -> float:
    counts = np.zeros((len(trial.items), 2))
    for session in done:
        for image, answer in zip(session.order, session.answers, strict=True):
            counts[trial.number[image], int(answer != REAL)] += 1
    return fleiss_kappa(counts)
