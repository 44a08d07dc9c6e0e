"""GAN-train and GAN-test (Shmelkov et al. 2018): what is a classifier worth that learns from generated images?

GAN-train: it learns from generated images and is tested on real ones of patients that the GAN has not seen; high only
if generated images are as varied as real ones and show what tells the classes apart.
GAN-test: it learns from real images and is tested on generated ones; high if these show their class, however little
they vary. Above the reference, they are plainer than real ones, or copies of them.
Reference: it learns from real images and is tested on real ones of other patients. Chance is 0.5.

The classifier is that of Alam et al., 4.1: "high-level semantic features" of a pre-trained VGG-16 (`features.vgg16`;
assumed to be its second fully connected layer, the last before ImageNet's classes, which is what SVMs are customarily
given) and "the simplest SVM" (assumed linear, on features of mean 0 and deviation 1 in the training images, its classes
weighing the same, which makes no difference where they have as many images). Any other feature space may be given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from kerasgan.data.imagesets import ImageSet
from kerasgan.errors import UserError, nearest
from kerasgan.evaluation.features import Backbone
from kerasgan.metrics.classification import Confusion, bootstrap, roc_auc

MEASURES = ("sensitivity", "specificity", "harmonic_mean", "accuracy", "auc")
LEAST = 2  # images of each class on each side

Classes = Mapping[str, ImageSet]  # two classes by name, each with its images


@dataclass(frozen=True)
class SvmSettings:
    """Of the classifier and of the intervals around its measures."""

    c: float  # the SVM's C, above 0
    bootstrap: int  # samples
    confidence: float  # of the intervals, between 0 and 1
    seed: int  # of the bootstrap; nothing else is drawn


@dataclass(frozen=True)
class Side:
    """The images of two classes on one side of a test; all by the name of the class, the positive one first."""

    origins: dict[str, str]
    images: dict[str, int]
    patients: dict[str, int] | None  # None: the images are generated, or nothing says whose they are


@dataclass(frozen=True)
class Trial:
    """A classifier that has learnt from one side and was tested on the other."""

    training: Side
    test: Side
    confusion: Confusion
    measures: dict[str, float]  # by `MEASURES`, 0 to 1
    intervals: dict[str, tuple[float, float]]  # of the same, from drawing `resampled` of the test side anew
    resampled: str  # patients, or images where patients are not known


@dataclass(frozen=True)
class GanTrain:
    """All trials of some generators, and what their numbers depend on."""

    positive: str
    negative: str
    features: str  # with the weights
    preprocessing: str
    settings: SvmSettings
    gan_train: dict[str, tuple[Trial, ...]]  # by generator, one for each set of images that it made
    gan_test: dict[str, tuple[Trial, ...]]  # likewise; empty without real training images
    reference: Trial | None  # likewise

    def rows(self) -> Iterator[tuple[str, str, int, Trial]]:
        """Protocol (GAN-train, GAN-test or real), generator, number of its set of images from 1, trial."""
        for protocol, found in (("GAN-train", self.gan_train), ("GAN-test", self.gan_test)):
            for name, trials in found.items():
                for number, trial in enumerate(trials, 1):
                    yield protocol, name, number, trial
        if self.reference:
            yield "real", "", 1, self.reference


@dataclass(frozen=True)
class Labelled:
    """Features (n, f) of one side, with the truth, 1 for the positive class, and the patient, or image, of each row."""

    features: np.ndarray
    truth: np.ndarray
    groups: np.ndarray
    side: Side


def gan_train(
    generated: Mapping[str, Sequence[Classes]],
    test: Classes,
    training: Classes | None,
    *,
    positive: str,
    space: Backbone,
    settings: SvmSettings,
    quiet: bool = False,
) -> GanTrain:
    """GAN-train, GAN-test and the reference, for one generator or several.

    Args:
        generated: by the name of a generator, sets of images that it made, such as with different seeds.
        test: real images of patients that no generator has seen, as the caller has made sure.
        training: real images of other patients, best as many as generated ones; None: neither GAN-test nor reference.
        positive: whose class sensitivity is about.
        space: of the features.

    All images have one size. An image whose group is its own name is of no known patient: see `Side.patients`.

    Raises:
        UserError: a side has not exactly the two classes, or too few images of one; sizes differ; a patient is in both
            classes, or in `test` and in what is learnt from.
    """
    sides = [(f"the images generated by {name}", own) for name, sets in generated.items() for own in sets]
    sides += [("the real training images", training)] if training else []
    check_classes([*sides, ("the real test images", test)], positive)
    for name, learnt_from in sides:
        _check_leak(name, learnt_from, test)

    def featured(classes: Classes) -> Labelled:
        return labelled(classes, positive, space, quiet)

    tested, learnt = featured(test), featured(training) if training else None
    by_train: dict[str, tuple[Trial, ...]] = {}
    by_test: dict[str, tuple[Trial, ...]] = {}
    for name, sets in generated.items():
        made = [featured(own) for own in sets]
        by_train[name] = tuple(svm_trial(own, tested, settings) for own in made)
        if learnt:
            by_test[name] = tuple(svm_trial(learnt, own, settings) for own in made)
    reference = svm_trial(learnt, tested, settings) if learnt else None
    (negative,) = set(test) - {positive}
    return GanTrain(positive, negative, space.name, space.preprocessing, settings, by_train, by_test, reference)


def labelled(classes: Classes, positive: str, space: Backbone, quiet: bool = True) -> Labelled:
    """The features of the images of two classes, checked by `check_classes`."""
    names = sorted(classes, key=lambda name: name != positive)
    known = not any(set(own.groups) & set(own.names) for own in classes.values())
    side = Side(
        {name: classes[name].origin for name in names},
        {name: len(classes[name]) for name in names},
        {name: len(patients_of(classes[name])) for name in names} if known else None,
    )
    truth = np.repeat([1, 0], list(side.images.values()))
    groups = np.array([group for name in names for group in classes[name].groups]) if known else np.arange(len(truth))
    features = np.concatenate([space.features(classes[name].images, quiet) for name in names])
    return Labelled(features, truth, groups, side)


def svm_trial(training: Labelled, test: Labelled, settings: SvmSettings) -> Trial:
    """A linear SVM trained on one side and tested on the other; the AUC is that of its decision function."""
    svm = make_pipeline(StandardScaler(), SVC(C=settings.c, kernel="linear", class_weight="balanced"))
    score = svm.fit(training.features, training.truth).decision_function(test.features)
    decision = (score > 0).astype(int)
    confusion = Confusion.of(test.truth, decision)
    measures = {name: float(getattr(confusion, name)) for name in MEASURES if name != "auc"}
    measures["auc"] = roc_auc(test.truth, score)
    drawn = (test.groups, settings.bootstrap, settings.confidence, settings.seed)
    intervals = bootstrap(test.truth, score, decision, *drawn, measures=MEASURES)
    resampled = "patients" if test.side.patients else "images"
    return Trial(training.side, test.side, confusion, measures, intervals, resampled)


def patients_of(images: ImageSet) -> set[str]:
    """Whose images these are; one whose group is its own name is nobody's."""
    return set(images.groups) - set(images.names)


def check_classes(sides: Sequence[tuple[str, Classes]], positive: str) -> None:
    """A `UserError` unless all sides have the same two classes, images enough, one size, and a class per patient.

    Each side comes with its name in errors, such as "the real test images".
    """
    for name, classes in sides:
        if len(classes) != 2:
            raise UserError(
                f"{name} are of {len(classes)} class{'es' * (len(classes) != 1)} ({', '.join(classes)}); GAN-train "
                "tells two apart: give images of two"
            )
        if positive not in classes:
            raise UserError(
                f"{name} have no class {positive!r}, which is to be the positive; {nearest(positive, classes)}"
            )
        _check_images(name, classes)
    first, wanted = sides[0]
    for name, classes in sides:
        if set(classes) != set(wanted):
            raise UserError(
                f"{first} are of the classes {', '.join(sorted(wanted))}, {name} of {', '.join(sorted(classes))}; "
                "expected the same two on all sides"
            )
    _check_sizes(sides)


def _check_images(name: str, classes: Classes) -> None:
    for label, images in classes.items():
        if len(images) < LEAST:
            raise UserError(
                f"{name} have {len(images)} of class {label} ({images.origin}); GAN-train takes {LEAST} or more of each"
            )
    both = set.intersection(*map(patients_of, classes.values()))
    if both:
        raise UserError(
            f"{name} have {min(both)} in both classes, {' and '.join(classes)}; expected one class per patient: "
            "mend the labels, or give other folders"
        )


def _check_sizes(sides: Sequence[tuple[str, Classes]]) -> None:
    sizes = [
        (f"{name} of class {label}", "x".join(map(str, images.images.shape[1:])))
        for name, classes in sides
        for label, images in classes.items()
    ]
    first, wanted = sizes[0]
    for name, pixels in sizes:
        if pixels != wanted:
            raise UserError(f"{first} have {wanted} pixels, {name} {pixels}; expected one size: shrink the larger ones")


def _check_leak(name: str, learnt: Classes, test: Classes) -> None:
    shared = set.intersection(*(set().union(*map(patients_of, classes.values())) for classes in (learnt, test)))
    if shared:
        raise UserError(
            f"{len(shared)} patients, {min(shared)} among them, are in both {name} and the real test images; expected "
            "none in both: give other folders or subsets"
        )
