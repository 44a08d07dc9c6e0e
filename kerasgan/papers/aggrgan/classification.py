"""The classification study (Table 5): do CNNs learn the classes of tumours, or of sequences, from generated images?

    Case-1      train on all real images, test on the generated ones
    Case-2      train on 80 % of real and generated images together, test on the other 20 %
    Case-3 (a)  train on 80 % of the real images, test on the other 20 %
    Case-3 (b)  the same, and all generated images to train on
    Case-3 (c)  the same, and flipped, shifted and zoomed real images to train on, 100 of each per class

Of what a case trains on, 20 % are for validation; real images are as many of each class (both stated). How images were
split is not; of slices, as they seem to have been, those of one patient come on both sides, which flatters accuracies.
Here (assumed) patients are split, and the GANs have learnt from the same 80 % of them that Case-3 trains on.

What no split can mend: Case-1 tests images of GANs that learnt from what it trains on, and which have the style of it;
in Case-2, too, the GANs have learnt from real images on either side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import keras
import numpy as np
from scipy.ndimage import affine_transform

from kerasgan.errors import UserError
from kerasgan.evaluation.fitting import in_batches
from kerasgan.papers.aggrgan import cnns
from kerasgan.papers.aggrgan.published import CASES, TABLE_5
from kerasgan.report.tables import NO_INTERVAL, Table, between

BACKGROUND = -1.0
DRAWS = 2000  # of patients, for an interval
SPLITS = {
    "patient": "split by patient; a generated image is on the side of its reference's patient",
    "slice": "split by slice: slices of one patient are on both sides, which flatters the accuracies",
}


@dataclass(frozen=True)
class Labelled:
    """n images with their classes."""

    images: np.ndarray  # float32 (n, height, width) in [-1, 1]
    labels: np.ndarray  # int (n,), indices of `classes`
    groups: tuple[str, ...]  # the patient of each real image; of a generated one that of the real one it was styled by
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: np.ndarray) -> "Labelled":
        """The images at these indices, in this order."""
        return Labelled(self.images[chosen], self.labels[chosen], tuple(self.groups[i] for i in chosen), self.classes)

    def counts(self) -> np.ndarray:
        """How many images of each class there are, int (classes,)."""
        return np.bincount(self.labels, minlength=len(self.classes))


def joined(sets: Sequence[Labelled]) -> Labelled:
    """Several sets as one; other classes, or images of another size, are a ValueError."""
    if len({each.classes for each in sets}) > 1:
        raise ValueError(f"expected sets of the same classes, got {[each.classes for each in sets]}")
    images, labels = (np.concatenate([getattr(each, name) for each in sets]) for name in ("images", "labels"))
    return Labelled(images, labels, sum((each.groups for each in sets), ()), sets[0].classes)


# ---- cases ----


@dataclass(frozen=True)
class CaseSettings:
    """How cases are made."""

    split: Literal["patient", "slice"]  # see `SPLITS`
    test: float  # share of Case-2 and Case-3, 0 to 1; in Case-3 by patient, `real_test` is that share
    validation: float  # share of what a case trains on, 0 to 1
    augmented: int  # images per class of each of Case-3 (c)'s transforms
    shift: float  # the largest, as a share of height and of width
    zoom: float  # the largest deviation of its factor from 1


@dataclass(frozen=True)
class Case:
    """What a case trains on, chooses the epoch by, and tests."""

    name: str
    train: Labelled
    validation: Labelled
    test: Labelled


def cases(
    real_learnt: Labelled,
    real_test: Labelled,
    generated: Labelled,
    settings: CaseSettings,
    seed: int,
    names: Sequence[str] = CASES,
) -> dict[str, Case]:
    """The cases of these names; the seed decides each, whatever others are asked for. They copy images.

    Case-3 (a) to (c) test the same images, and train on the same real ones with more or less beside them.

    Args:
        real_learnt: of the patients whose images the GANs have learnt from.
        real_test: of patients whose images no GAN has learnt from: by patient, what Case-3 tests. By slice, the two are
            pooled.
        generated: equally many of each class, or they are cut down to the class that has fewest, as real images are.
        settings, seed: of the draws.
        names: of `CASES`.

    Raises:
        UserError: a part of a case is without a class; by patient, a patient is in `real_learnt` and `real_test`, or a
            generated image of Case-3 (b) was styled after a patient of `real_test`.
    """
    if settings.split == "patient":
        _refuse_leaks(real_learnt, real_test, generated, names)
    rng = np.random.default_rng([seed, 0])
    whole = {"real images that GANs learnt from": real_learnt, "real test images": real_test, "generated": generated}
    if settings.split == "slice":
        whole = {"real images": joined([real_learnt, real_test]), "generated": generated}
    *real, generated = (balanced(each, name, rng) for name, each in whole.items())
    found = {}
    for name in names:
        rest, test = _sides(name, real, generated, settings, seed)
        rng = np.random.default_rng([seed, 1, CASES.index(name)])
        train, validation = divided(rest, settings.validation, settings.split, rng)
        found[name] = _complete(Case(name, train, validation, test))
    return found


def balanced(whole: Labelled, name: str, rng: np.random.Generator) -> Labelled:
    """As many images of each class as the smallest has, drawn, in their order; a class without any is a UserError."""
    counts = whole.counts()
    if not counts.all():
        raise UserError(
            f"{name}: none is of class {whole.classes[counts.argmin()]!r}; expected images of each class: add some"
        )
    each = [rng.permutation(np.flatnonzero(whole.labels == label))[: counts.min()] for label in range(len(counts))]
    return whole.take(np.sort(np.concatenate(each)))


def divided(whole: Labelled, share: float, split: str, rng: np.random.Generator) -> tuple[Labelled, Labelled]:
    """The rest, and a share of the images of each class as nearly as whole patients ("patient") or slices allow.

    Patients are gone through in a drawn order, and set apart while that brings the classes' numbers nearer to the
    share, which is at least the patient of a class with the fewest images.
    """
    units = np.array(whole.groups) if split == "patient" else np.arange(len(whole))
    which = np.unique(units, return_inverse=True)[1]
    counts = np.zeros((which.max() + 1, len(whole.classes)))
    np.add.at(counts, (which, whole.labels), 1)
    least = np.where(counts > 0, counts, np.inf).min(axis=0)
    target = np.maximum(share * whole.counts(), np.minimum(least, whole.counts()))
    taken, apart = np.zeros(len(whole.classes)), np.zeros(len(counts), bool)
    for unit in rng.permutation(len(counts)):
        apart[unit] = np.abs(taken + counts[unit] - target).sum() < np.abs(taken - target).sum()
        taken += apart[unit] * counts[unit]
    return whole.take(np.flatnonzero(~apart[which])), whole.take(np.flatnonzero(apart[which]))


def _sides(
    name: str, real: Sequence[Labelled], generated: Labelled, settings: CaseSettings, seed: int
) -> tuple[Labelled, Labelled]:
    """What a case trains on (validation included) and tests; `real` as it is split already, or as one."""
    if name == "Case-1":
        return joined(real), generated
    rng = np.random.default_rng([seed, 2 if name == "Case-2" else 3])
    if name == "Case-2":
        return divided(joined([*real, generated]), settings.test, settings.split, rng)
    rest, test = real if len(real) == 2 else divided(real[0], settings.test, settings.split, rng)
    if name == "Case-3 (b)":
        rest = joined([rest, generated])
    elif name == "Case-3 (c)":
        rest = joined([rest, augmented(rest, settings, rng)])
    return rest, test


def _refuse_leaks(learnt: Labelled, test: Labelled, generated: Labelled, names: Sequence[str]) -> None:
    leaks = set(learnt.groups) & set(test.groups)
    if leaks:
        raise UserError(f"patient {min(leaks)} is among those that GANs learnt from and those of the test; split anew")
    leaks = set(generated.groups) & set(test.groups)
    if leaks and "Case-3 (b)" in names:
        raise UserError(
            f"Case-3 (b) would train on images in the style of patient {min(leaks)}, whom it tests; take "
            "reference images of training patients alone"
        )


def _complete(case: Case) -> Case:
    """The case, if each part of it has every class."""
    for part in ("train", "validation", "test"):
        counts = getattr(case, part).counts()
        if not counts.all():
            missing = case.train.classes[counts.argmin()]
            raise UserError(
                f"{case.name}: the {part} part has no image of class {missing!r}; add patients of it, or try another "
                "seed"
            )
    return case


# ---- the transforms of Case-3 (c) ----


def augmented(whole: Labelled, settings: CaseSettings, rng: np.random.Generator) -> Labelled:
    """`settings.augmented` flipped, as many shifted and as many zoomed images per class, with their patients.

    Each is of an image of its own, as far as there are so many; else all come equally often, or once more.
    """

    def drawn() -> Labelled:
        members = (np.flatnonzero(whole.labels == label) for label in range(len(whole.classes)))
        return whole.take(np.concatenate([np.resize(rng.permutation(own), settings.augmented) for own in members]))

    flips, shifts, zooms = drawn(), drawn(), drawn()
    return joined(
        [
            replace(flips, images=flipped(flips.images)),
            replace(shifts, images=shifted(shifts.images, settings.shift, rng)),
            replace(zooms, images=zoomed(zooms.images, settings.zoom, rng)),
        ]
    )


def flipped(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w), left and right exchanged."""
    return images[:, :, ::-1]


def shifted(images: np.ndarray, reach: float, rng: np.random.Generator) -> np.ndarray:
    """Images (n, h, w), each moved by whole pixels, uniform up to a share `reach` of height and width, either way."""
    n, height, width = images.shape
    most = np.array([round(reach * height), round(reach * width)])
    padded = np.pad(images, ((0, 0), *((m, m) for m in most)), constant_values=BACKGROUND)
    corners = rng.integers(0, 2 * most + 1, (n, 2))
    return np.stack([image[y : y + height, x : x + width] for image, (y, x) in zip(padded, corners, strict=True)])


def zoomed(images: np.ndarray, reach: float, rng: np.random.Generator) -> np.ndarray:
    """Images (n, h, w), each enlarged about its centre by a factor uniform in [1 - reach, 1 + reach], linearly."""
    centre = (np.array(images.shape[1:]) - 1) / 2
    factors = rng.uniform(1 - reach, 1 + reach, len(images))
    return np.stack(
        [
            affine_transform(image, np.full(2, 1 / factor), centre - centre / factor, order=1, cval=BACKGROUND)
            for image, factor in zip(images, factors, strict=True)
        ]
    )


# ---- training and its outcome ----


@dataclass(frozen=True)
class Result:
    """A network's decisions on the test part of a case."""

    case: str
    network: str
    weights: str  # that it started from, in words
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows are the truth, columns the decisions
    images: tuple[int, int, int]  # train, validation, test
    by_patient: tuple[tuple[int, int], ...]  # right decisions and images of each patient of the test part
    epochs: int
    best_epoch: int  # of the lowest validation loss, from 1, whose weights were tested

    @property
    def accuracy(self) -> float:
        """Share of right decisions, 0 to 1."""
        return float(np.trace(self.confusion) / np.sum(self.confusion))

    @property
    def by_class(self) -> dict[str, float]:
        """Share of the images of each class that were found to be of it, 0 to 1."""
        shares = np.diag(self.confusion) / np.sum(self.confusion, axis=1)
        return dict(zip(self.classes, shares.tolist(), strict=True))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % percentile interval (Efron 1979) of the accuracy: patients are drawn anew, with all of their images.

        An image that was generated is drawn with the patient of its reference.
        """
        patients = len(self.by_patient)
        drawn = np.random.default_rng(0).multinomial(patients, np.full(patients, 1 / patients), DRAWS)
        right, images = (drawn @ np.array(self.by_patient)).T
        low, high = np.quantile(right / images, (0.025, 0.975))
        return float(low), float(high)


def train_and_test(
    case: Case,
    network: str,
    weights: str,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    quiet: bool = False,
) -> Result:
    """Train a network of `cnns.NETWORKS` on a case, by Adam, and test the epoch of the lowest validation loss.

    The same seed gives the same result on one machine, on a GPU with TensorFlow's deterministic operations. The caller
    clears Keras's session.

    Args:
        weights: `imagenet`, a local file or `random`; see `cnns.load_cnn`.
        epochs, batch_size: in the paper 20 and 32.
        seed: of the weights that are drawn and of the order of images.

    Raises:
        UserError: as `cnns.load_cnn`; training diverged.
    """
    title, (height, width) = f"{case.name}, {network}", case.train.images.shape[1:]
    cnn = cnns.load_cnn(network, weights, height, width, len(case.train.classes), seed)
    best = cnns.train(
        cnn.network,
        (case.train.images, case.train.labels),
        (case.validation.images, case.validation.labels),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        title=title,
        quiet=quiet,
    )
    decision = decisions(cnn.network, case.test.images, title)
    return Result(
        case.name,
        network,
        cnn.weights,
        case.test.classes,
        _confusion(case.test.labels, decision, len(case.test.classes)),
        images=tuple(len(part) for part in (case.train, case.validation, case.test)),
        by_patient=_by_patient(decision == case.test.labels, case.test.groups),
        epochs=epochs,
        best_epoch=best,
    )


def decisions(network: keras.Model, images: np.ndarray, title: str) -> np.ndarray:
    """The most probable class of each image, int (n,); probabilities that are not numbers are a UserError."""
    probabilities = in_batches(lambda batch: network(batch[..., None], training=False), images)
    if not np.isfinite(probabilities).all():
        raise UserError(f"{title}: training has diverged, the network gives no numbers; lower the learning rate")
    return probabilities.argmax(axis=1)


def _by_patient(right: np.ndarray, groups: Sequence[str]) -> tuple[tuple[int, int], ...]:
    whose = np.unique(groups, return_inverse=True)[1]
    counts = np.bincount(whose, right).astype(int), np.bincount(whose)
    return tuple(zip(*(each.tolist() for each in counts), strict=True))


def _confusion(truth: np.ndarray, decision: np.ndarray, classes: int) -> tuple[tuple[int, ...], ...]:
    counts = np.bincount(truth * classes + decision, minlength=classes**2).reshape(classes, classes)
    return tuple(map(tuple, counts.tolist()))


def classification_table(results: Sequence[Result], dataset: str, notes: Sequence[str] = ()) -> Table:
    """Table 5: the paper's accuracies on `dataset` (a first key of `TABLE_5`) beside ours, case by case."""
    header = ["case", "network", "acc. %, Mukherjee 2022", "ours", "95 % interval", "by class %"]
    header += ["images: train, validation, test", "epoch kept", "weights at first"]
    order = {key: rank for rank, key in enumerate((case, network) for case in CASES for network in cnns.NETWORKS)}
    rows = []
    for result in sorted(results, key=lambda result: order[result.case, result.network]):
        printed = TABLE_5[dataset, result.case].get(result.network)
        rows.append(
            [
                result.case,
                result.network,
                "–" if printed is None else f"{printed:.2f}",
                f"{100 * result.accuracy:.2f}",
                between(*(100 * bound for bound in result.interval), 1),
                ", ".join(f"{name} {100 * share:.1f}" for name, share in result.by_class.items()),
                f"{', '.join(map(str, result.images))} of {len(result.by_patient)} patients",
                f"{result.best_epoch} of {result.epochs}",
                result.weights,
            ]
        )
    notes = [
        f"Intervals draw the patients of the test part anew, {DRAWS} times, with all of their images, since slices of "
        "one patient are alike; a generated image is drawn with the patient of its reference.",
        "The small network is ours; the paper has none.",
        *notes,
    ]
    if any(low == high for low, high in (result.interval for result in results)):
        notes.append(NO_INTERVAL)
    return Table("table5", f"Table 5: CNNs on real and generated images ({dataset})", header, rows, notes)
