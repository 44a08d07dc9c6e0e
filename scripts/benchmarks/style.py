"""Neural style transfer with VGG-19: kerasgan's batch against SciPy and PyTorch, which take one image after another.

The optimizers differ, so all are timed to equal losses: those which kerasgan's images have after `iterations`. Each
other way ends an image at the first evaluation that is as low, or, to its own advantage, after three times as many.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import tensorflow as tf
from keras import Model
from scipy.ndimage import gaussian_filter
from scipy.optimize import fmin_l_bfgs_b

from benchmarks.timing import Row, in_turns, rate, times_as_fast
from benchmarks.ways import CHANNELS_LAST, DEFAULT_LAYOUT, OURS, torch_layouts
from kerasgan.papers import settings_of
from kerasgan.papers.aggrgan.style import LossWeights, Objective, Transferred, features, grey_levels, transfer
from kerasgan.papers.aggrgan.vgg19 import Vgg19, load_vgg19

WEIGHTS = LossWeights.of(settings_of("dcgan1").style)
MOST = 3  # times as many iterations as kerasgan's
# The layout of PyTorch's tensors and its line search; without one, its default, each step has length 1.
TORCH = {
    "PyTorch, strong Wolfe": (DEFAULT_LAYOUT, "strong_wolfe"),
    "PyTorch, strong Wolfe, channels last": (CHANNELS_LAST, "strong_wolfe"),
    "PyTorch, no line search": (DEFAULT_LAYOUT, None),
}

Call = Callable[[], object]


@dataclass(frozen=True)
class Work:
    """A batch of images, of which the others take the first `others`: theirs is the same work for each image."""

    vgg: Vgg19
    size: int
    batch: int
    others: int
    iterations: int

    @cached_property
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """Content and style (batch, size, size) in [-1, 1]: smooth noise."""
        noise = np.random.default_rng(1).normal(size=(2, self.batch, self.size, self.size))
        smooth = gaussian_filter(noise, (0, 0, self.size / 24, self.size / 24))
        content, style = smooth / np.abs(smooth).max(axis=(2, 3), keepdims=True)
        return content, style

    @cached_property
    def targets(self) -> np.ndarray:
        """The loss (batch,) of each image after kerasgan's iterations."""
        return self.ours().losses[-1]

    def ours(self) -> Transferred:
        return transfer(*self.images, self.vgg, WEIGHTS, iterations=self.iterations, batch_size=self.batch)

    def pairs(self) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """What the others take: content and style (size, size) in grey levels and the loss to reach."""
        content, style = map(grey_levels, self.images)
        return list(zip(content, style, self.targets, strict=True))[: self.others]


def rows(quick: bool) -> list[Row]:
    """Seconds an image to equal losses, for two sizes."""
    vgg = load_vgg19("random", seed=0)
    if quick:
        return _rows(Work(vgg, size=16, batch=2, others=1, iterations=2), rounds=1)
    return [row for size in (64, 128) for row in _rows(Work(vgg, size, batch=8, others=2, iterations=40), rounds=3)]


def _rows(work: Work, rounds: int) -> list[Row]:
    calls = {OURS: work.ours, "SciPy's L-BFGS-B": partial(with_scipy, work, features(work.vgg.network, WEIGHTS))}
    seconds = in_turns(calls | with_torch(work), rounds)
    what = f"{work.size}x{work.size}, {OURS}, {work.batch} at once, {work.iterations} iterations"
    found = [Row(what, rate(work.iterations * work.batch, seconds[OURS]), "iterations of an image/s")]
    ours = seconds.pop(OURS) / work.batch
    found.append(Row(what, float(np.median(ours)), "s/image"))
    for name, taken in seconds.items():
        theirs = taken / work.others
        expected = "at least 1.5" if name.startswith("PyTorch") else ""
        what = f"{work.size}x{work.size}, {name}, one by one to {OURS}'s loss"
        found.append(Row(what, float(np.median(theirs)), "s/image", times_as_fast(ours, theirs), expected))
    return found


class Reached(Exception):
    """The loss to reach has been reached."""


def with_scipy(work: Work, network: Model) -> list[list[float]]:
    """kerasgan's objective in SciPy's L-BFGS, one image after another; the losses of each one's evaluations."""
    found, whole = [], Objective(network, WEIGHTS)
    objective = tf.function(whole)
    for content, style, target in work.pairs():
        targets, losses = whole.targets(content[None], style[None]), []

        def function(flat, targets=targets, losses=losses, target=target):
            loss, gradient = objective(tf.constant(flat[None]), targets)
            losses.append(float(loss[0]))
            if losses[-1] <= target:
                raise Reached
            return losses[-1], gradient.numpy()[0]

        with suppress(Reached):
            fmin_l_bfgs_b(function, content.ravel(), factr=0, pgtol=0, maxiter=MOST * work.iterations)
        found.append(losses)
    return found


# ---- PyTorch ----


def with_torch(work: Work) -> dict[str, Call]:
    """Ways of PyTorch; none without the extra `bench`."""
    if not (layouts := torch_layouts()):
        return {}
    from benchmarks.pytorch_style import Features

    networks = {layout: Features(work.vgg.network, WEIGHTS, layouts[layout]) for layout, _ in TORCH.values()}
    return {name: partial(_one_by_one, work, networks[layout], search) for name, (layout, search) in TORCH.items()}


def _one_by_one(work: Work, network: "Features", line_search: str | None) -> None:  # noqa: F821, of an extra
    from benchmarks import pytorch_style

    for content, style, target in work.pairs():
        objective = pytorch_style.Objective(network, content, style, WEIGHTS)
        pytorch_style.losses(objective, content, MOST * work.iterations, line_search, target)
