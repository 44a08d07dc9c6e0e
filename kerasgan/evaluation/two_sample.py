"""Classifier two-sample test (Lopez-Paz and Oquab 2017): can a classifier tell synthetic from real images?

Half of the patients train it, the other half judge it, so that no patient is on both sides; of real and synthetic
images there are equally many on each side. About 50 % held-out accuracy means that this classifier finds no difference.
Slices of one patient are alike, so the effective number of real images is nearer to that of patients: `p_value` reckons
with groups, `binomial_p` is the paper's, for independent images. On halves of the 86 patients (756 FLAIR slices, 64x64
pixels) of TCGA-LGG, which do not differ, the latter was below 0.05 for 1-NN in 6 of 20 splits, the former in 1. Each
seed draws another split and other initial weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from keras import Input, Model, layers

from kerasgan.errors import UserError
from kerasgan.evaluation.fitting import fit, in_batches
from kerasgan.metrics.two_sample import above_chance_p, combined_p, grouped_p, nearest_neighbour_decisions

FILTERS = (16, 32, 64, 64, 64, 64, 64)  # the first at full resolution, each other one halves it
SMALLEST = 8  # pixels that are not halved further
INITIALIZER = "he_uniform"
BATCH = 32
RATE = 1e-3  # of Adam
EPOCHS = 20

# (training images, labels 0 or 1, test images, seed) to decisions 0 or 1 on the test images
Judge = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """n images (n, h, w), or features (n, f), and the group (patient) of each."""

    values: np.ndarray
    groups: np.ndarray

    def take(self, chosen: np.ndarray) -> "Sample":
        """The rows at these indices."""
        return Sample(self.values[chosen], self.groups[chosen])

    def halves(self, rng: np.random.Generator) -> tuple["Sample", "Sample"]:
        """Two samples without a common group, as nearly equal in rows as the drawn order of the groups allows.

        A single group is a `UserError`.
        """
        which = np.unique(self.groups, return_inverse=True)[1]
        sizes = np.bincount(which)
        if len(sizes) < 2:
            raise UserError(
                f"{len(which)} images are of one patient, {self.groups[0]}, and cannot be halved by patient; give more "
                "patients, with about equally many images"
            )
        order = rng.permutation(len(sizes))
        filled = np.cumsum(sizes[order])[:-1]
        first = order[: np.abs(filled - len(which) / 2).argmin() + 1]
        chosen = np.isin(which, first)
        return self.take(np.flatnonzero(chosen)), self.take(np.flatnonzero(~chosen))


@dataclass(frozen=True)
class TwoSampleTest:
    """Held-out accuracies, 0 to 1, and their p-values, one each per seed."""

    accuracies: tuple[float, ...]
    p_values: tuple[float, ...]  # with regard to groups
    least_p_values: tuple[float, ...]  # what `p_values` would be had all images been judged right
    binomial_p_values: tuple[float, ...]  # as if images were independent
    trained: int  # images of each class in the first seed's training half
    tested: int  # the same of its test half

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(np.mean(self.accuracies))

    @property
    def std(self) -> float:
        """The standard deviation of the accuracies over the seeds, with n - 1; 0 for a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0

    @property
    def p_value(self) -> float:
        """One for all seeds, with regard to groups."""
        return combined_p(self.p_values)

    @property
    def least_p(self) -> float:
        """What `p_value` would be at an accuracy of 1: few patients keep it from being small."""
        return combined_p(self.least_p_values)

    @property
    def binomial_p(self) -> float:
        """One for all seeds, as if images were independent."""
        return combined_p(self.binomial_p_values)


def two_sample_test(judge: Judge, real: Sample, synthetic: Sample, seeds: Sequence[int]) -> TwoSampleTest:
    """Real against synthetic images, each of two groups or more."""
    return _over([(real, synthetic, seed) for seed in seeds], judge)


def calibration(judge: Judge, real: Sample, seeds: Sequence[int]) -> TwoSampleTest:
    """The same test of two halves of the real images, by patient, each seed's other ones; four groups or more.

    Its accuracy is expected at 50 %: what it deviates by over the seeds is what the test is worth at this size.
    """
    return _over([(*real.halves(np.random.default_rng([seed, 1])), seed) for seed in seeds], judge)


def _over(pairs: Sequence[tuple[Sample, Sample, int]], judge: Judge) -> TwoSampleTest:
    found = [_held_out(judge, *pair) for pair in pairs]
    by_seed = (tuple(own[i] for own in found) for i in range(4))
    return TwoSampleTest(*by_seed, *found[0][4:])


def _held_out(judge: Judge, real: Sample, synthetic: Sample, seed: int) -> tuple[float, float, float, float, int, int]:
    """Accuracy, p, p if all were right, p if independent, and the images of each class in training and test."""
    rng = np.random.default_rng(seed)
    sides = zip(real.halves(rng), synthetic.halves(rng), strict=True)
    (train, learnt, _), (test, truth, groups) = (_balanced(*side, rng) for side in sides)
    decision = judge(train, learnt, test, seed)
    right = decision == truth
    grouped, least = (grouped_p(decided, truth, groups) for decided in (decision, truth))
    independent = above_chance_p(int(right.sum()), len(right))
    return float(right.mean()), grouped, least, independent, len(train) // 2, len(test) // 2


def _balanced(real: Sample, synthetic: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, labels and groups of equally many real (0) and synthetic (1) images."""
    count = min(len(real.groups), len(synthetic.groups))
    both = [own.take(rng.permutation(len(own.groups))[:count]) for own in (real, synthetic)]
    # A patient of the one sample is never a synthetic image of the same name in the other.
    groups = [f"{label} {name}" for label, own in enumerate(both) for name in own.groups]
    return np.concatenate([own.values for own in both]), np.repeat([0, 1], count), np.array(groups)


def nearest_neighbour_judge(train: np.ndarray, labels: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """1-NN on features (n, f); nothing in it is drawn by the seed."""
    return nearest_neighbour_decisions(train, labels, test)


def network_judge(epochs: int = EPOCHS, quiet: bool = False) -> Judge:
    """The small CNN on images (n, h, w) in [-1, 1], trained for so many epochs."""
    return partial(_network_decisions, epochs=epochs, quiet=quiet)


def classifier(height: int, width: int) -> Model:
    """(n, height, width, 1) to logits (n, 1), positive for synthetic: a stack of convolutions, their mean, dense.

    Normalisation, and a first convolution at full resolution, are what make fine texture visible within 20 epochs;
    without them, noise of 0.06 on some hundred slices went unnoticed. Weaker differences may still do.
    """
    x = image = Input((height, width, 1), name="image")
    x = _convolution(x, FILTERS[0], stride=1)
    for filters in FILTERS[1:]:
        if max(x.shape[1:3]) > SMALLEST:
            x = _convolution(x, filters, stride=2)
    return Model(image, layers.Dense(1, kernel_initializer=INITIALIZER)(layers.GlobalAveragePooling2D()(x)))


def _convolution(x: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, kernel_initializer=INITIALIZER)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _network_decisions(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, seed: int, *, epochs: int, quiet: bool
) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    network = classifier(*train.shape[1:])
    network.compile(keras.optimizers.Adam(RATE), keras.losses.BinaryCrossentropy(from_logits=True))
    targets = labels.astype(np.float32)[:, None]
    inputs = train[..., None]
    fit(network, inputs, targets, epochs=epochs, batch_size=BATCH, seed=seed, name=f"c2st, seed {seed}", quiet=quiet)
    logits = in_batches(lambda batch: network(batch[..., None], training=False), test)
    return (logits[:, 0] > 0).astype(int)
