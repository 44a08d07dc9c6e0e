"""`evaluate fid`, `kid`, `is`, `prdc`, `swd`, `ssim-diversity`, `c2st`, `encoder`: real and synthetic images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kerasgan.data.imagesets import ImageSet
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError, nearest
from kerasgan.evaluation import two_sample
from kerasgan.evaluation.encoder import EncoderCard, EncoderSettings, train_encoder
from kerasgan.evaluation.features import Backbone
from kerasgan.evaluation.features import backbone as backbone_of
from kerasgan.evaluation.features import classifier as classifier_of
from kerasgan.evaluation.two_sample import TwoSampleTest
from kerasgan.experiment.compared import Finding, ImageComparison, Numbers, check_patients, check_sizes
from kerasgan.experiment.images import image_set
from kerasgan.metrics.frechet import frechet_distance
from kerasgan.metrics.inception_score import inception_score
from kerasgan.metrics.kernel_distance import kernel_distance
from kerasgan.metrics.ms_ssim import WINDOW, ms_ssim, scales_of
from kerasgan.metrics.prdc import prdc
from kerasgan.metrics.sliced_wasserstein import DIRECTIONS, PATCH, PATCHES, REPEATS, sliced_wasserstein_by_level
from kerasgan.metrics.ssim import ssim
from kerasgan.metrics.ssim_diversity import pair_similarities, random_pairs

SUBSET = 1000  # images of each subset of KID, as in Binkowski's own code; half of the smaller set if that is less
RANGE = 2.0  # of images in [-1, 1]


@dataclass(frozen=True)
class _Task:
    """What a kind of comparison is given."""

    real: ImageSet
    synthetic: ImageSet
    space: Backbone | None
    seed: int
    settings: Mapping[str, int | None]
    quiet: bool

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        return tuple(self.space.features(own.images, self.quiet) for own in (self.real, self.synthetic))

    def at_least(self, count: int, why: str) -> None:
        """A `UserError` if one of the sets has fewer images."""
        for own in (self.real, self.synthetic):
            if len(own) < count:
                raise UserError(f"{own.origin} has {len(own)} images; {why} takes {count} or more: add images")


def _fid(task: _Task) -> Finding:
    task.at_least(2, "a Fréchet distance")
    features = task.features()
    count, width = min(map(len, features)), features[0].shape[1]
    notes = ["Biased upwards at few images: compare only among equal numbers of images and the same backbone."]
    if count <= width:
        notes.append(
            f"{count} images for {width} features: a covariance is singular, so prefer KID, or fewer features."
        )
    return Finding({"FID": {"value": frechet_distance(*features)}}, tuple(notes))


def _kid(task: _Task) -> Finding:
    count = min(len(task.real), len(task.synthetic))
    task.at_least(4, "a kernel distance")
    size = task.settings["subset_size"] or min(SUBSET, count // 2)
    task.at_least(size, f"--subset-size {size}")
    mean, std = kernel_distance(*task.features(), subsets=task.settings["subsets"], size=size, seed=task.seed)
    return Finding({"KID": {"mean": mean, "std over subsets": std}}, settings={"subset_size": size})


def _is(task: _Task) -> Finding:
    splits = task.settings["splits"]
    task.at_least(splits, f"--splits {splits}")
    score: dict[str, float] = {}
    for label, own in (("synthetic", task.synthetic), ("real", task.real)):
        order = np.random.default_rng(task.seed).permutation(len(own))  # parts of one class each would have the score 1
        mean, std = inception_score(task.space.features(own.images, task.quiet)[order], splits)
        score |= {label: mean, f"{label} std over parts": std}
    return Finding({"inception score": score}, IS_NOTES)


IS_NOTES = (
    "1: every image gets the same probabilities; higher: surer and more varied ones. Compare only among equal numbers "
    "of images and of parts.",
    "The classes are ImageNet's, of which none is an MR image: the score tells little of these images, and those of "
    "real ones stand beside it for that reason.",
)


def _prdc(task: _Task) -> Finding:
    task.at_least(task.settings["k"] + 1, f"neighbour {task.settings['k']}")
    found = asdict(prdc(*task.features(), task.settings["k"]))
    return Finding({name: {"value": value} for name, value in found.items()})


def _swd(task: _Task) -> Finding:
    count = min(len(task.real), len(task.synthetic))  # it takes as many of each
    sets = (own.sample(count, task.seed).images for own in (task.real, task.synthetic))
    by_level = sliced_wasserstein_by_level(*sets, seed=task.seed)
    found = {f"{pixels} px": float(value) for pixels, value in by_level.items()}
    found["mean of levels"] = float(np.mean(list(found.values())))
    numbers = {name: {"value": value, "x 1000": 1000 * value} for name, value in found.items()}
    settings = {"images": count, "patch": PATCH, "patches_of_an_image": PATCHES, "directions": REPEATS * DIRECTIONS}
    return Finding(numbers, SWD_NOTES, settings=settings)


SWD_NOTES = (
    "By the pixels of the level of a Laplacian pyramid: the coarsest compares large structures, the finest edges and "
    "noise; 0 is alike. Papers print it times 1000.",
    "Falls with more images: compare only among equal numbers of images.",
)


def _ssim_diversity(task: _Task) -> Finding:
    height, width = task.real.images.shape[1:]
    if min(height, width) < WINDOW:
        raise UserError(f"images of {height}x{width} pixels are too small for SSIM; expected {WINDOW}x{WINDOW} or more")
    scales = scales_of(height, width)
    measures = {"SSIM": ssim, f"MS-SSIM, {scales} scales": ms_ssim}
    numbers: Numbers = {name: {} for name in measures}
    for label, own in (("real", task.real), ("synthetic", task.synthetic)):
        pairs = random_pairs(own.groups, task.settings["pairs"], task.seed)
        if not len(pairs):
            raise UserError(f"{own.origin} has images of one group only; pairs take images of two patients or more")
        for name, measure in measures.items():
            values = pair_similarities(own.images, pairs, partial(measure, data_range=RANGE))
            numbers[name] |= {
                label: float(values.mean()),
                f"{label} std": float(values.std()),
                f"{label} pairs": len(pairs),
            }
    note = "Mean similarity of random pairs of different groups; lower is more diverse, far below real is noise."
    return Finding(numbers, (note,))


def _c2st(task: _Task) -> Finding:
    _check_patients_to_halve(task.real, 4)
    _check_patients_to_halve(task.synthetic, 2)
    check_patients(task.real, task.synthetic)
    seeds = range(task.seed, task.seed + task.settings["repeats"])
    judges = {
        "CNN": (
            two_sample.network_judge(task.settings["epochs"], task.quiet),
            (task.real.images, task.synthetic.images),
        ),
        "1-NN": (two_sample.nearest_neighbour_judge, task.features()),
    }
    groups = [np.array(own.groups) for own in (task.real, task.synthetic)]
    found: dict[str, TwoSampleTest] = {}
    for name, (judge, values) in judges.items():
        real, synthetic = map(two_sample.Sample, values, groups)
        found[f"{name}, real and synthetic"] = two_sample.two_sample_test(judge, real, synthetic, seeds)
        found[f"{name}, two halves of real"] = two_sample.calibration(judge, real, seeds)
    numbers = {name: _shown(own) for name, own in found.items()}
    notes = [*C2ST_NOTES]
    if len(set(task.real.groups)) == len(task.real):
        notes.append(
            "Each real image is a group of its own: if some are slices of one patient, these may be on both sides of a "
            "split, and p is too small."
        )
    if any(own.least_p > SIGNIFICANT for own in found.values()):
        notes.append(
            f"Too few patients for a p below {SIGNIFICANT}: where `p if all were right` is larger, not even an "
            "accuracy of 1 would give one."
        )
    return Finding(numbers, tuple(notes), {name: asdict(own) for name, own in found.items()})


SIGNIFICANT = 0.05


C2ST_NOTES = (
    "Held-out accuracy, 0.5 is chance; split by group, equally many real and synthetic images. p reckons with "
    "dependent images within a group, `p if independent` does not; of several seeds it is twice the median. `p if all "
    "were right` is the least that so many groups can give.",
    "Two halves of the real images, by patient, should give 0.5: what they deviate by is what the test is worth here.",
)


def _shown(test: TwoSampleTest) -> dict[str, float]:
    return {
        "accuracy": test.mean,
        "std over seeds": test.std,
        "p": test.p_value,
        "p if all were right": test.least_p,
        "p if independent": test.binomial_p,
        "trained on": 2 * test.trained,
        "tested on": 2 * test.tested,
    }


def _check_patients_to_halve(images: ImageSet, least: int) -> None:
    found = len(set(images.groups))
    if found < least:
        raise UserError(
            f"{images.origin} has images of {found} groups (patients); halves by patient take {least} or "
            "more: add patients"
        )


KINDS = {
    "fid": _fid,
    "kid": _kid,
    "is": _is,
    "prdc": _prdc,
    "swd": _swd,
    "ssim-diversity": _ssim_diversity,
    "c2st": _c2st,
}
# Of each kind; a subset_size of None is `SUBSET`, or half of the smaller set.
SETTINGS = {
    "fid": {},
    "kid": {"subsets": 100, "subset_size": None},
    "is": {"splits": 10},
    "prdc": {"k": 5},
    "swd": {},
    "ssim-diversity": {"pairs": 1000},
    "c2st": {"repeats": 5, "epochs": two_sample.EPOCHS},
}
BACKBONES = {"fid": "inception", "kid": "inception", "is": "inception", "prdc": "inception", "c2st": "pixels"}


def evaluate_images(
    kind: str,
    *,
    real: str | Path,
    synthetic: str | Path,
    sequence: str | None = None,
    subset: str = "all",
    where: str | None = None,
    partition: int = 1,
    size: int | None = None,
    count: int | None = None,
    seed: int = 1,
    backbone: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
    **settings: int | None,
) -> ImageComparison:
    """Compare real and synthetic images.

    Args:
        kind: fid, kid, is, prdc, swd, ssim-diversity or c2st.
        real, synthetic, sequence, subset, where, partition, size, count: see `experiment.images.image_set`; `real` is
            no run, and `count` holds for both sets.
        seed: of the draws of images, subsets, pairs and splits, and of a run's noise.
        backbone: see `evaluation.features`; default inception, of c2st's 1-NN pixels; `is` takes a classifier, swd and
            ssim-diversity have none.
        out: a JSON file for the result; one that is there is replaced.
        quiet: no progress.
        settings: those of the kind, see `SETTINGS`.
    """
    if kind not in KINDS:
        raise UserError(f"there is no comparison {kind!r}; {nearest(kind, KINDS)}")
    for name in settings:
        if name not in SETTINGS[kind]:
            raise UserError(f"{kind} has no setting {name!r}; {nearest(name, SETTINGS[kind])}")
    if backbone and kind not in BACKBONES:
        raise UserError(f"{kind} compares images as they are; leave out the backbone {backbone}")
    common = {
        "sequence": sequence,
        "subset": subset,
        "where": where,
        "partition": partition,
        "size": size,
        "seed": seed,
        "count": count,
    }
    sets = {
        "real": image_set(real, real=True, **common),
        "synthetic": image_set(synthetic, **common),
    }
    check_sizes(sets)
    named = classifier_of if kind == "is" else backbone_of
    space = named(backbone or BACKBONES[kind]) if kind in BACKBONES else None
    chosen = SETTINGS[kind] | settings
    found = KINDS[kind](_Task(sets["real"], sets["synthetic"], space, seed, chosen, quiet))
    result = ImageComparison.of(kind, sets, space, seed, chosen, found)
    if out:
        result.write(out)
    return result


def train_image_encoder(
    *,
    real: str | Path,
    out: str | Path,
    sequence: str | None = None,
    subset: str = "train",
    where: str | None = None,
    partition: int = 1,
    size: int | None = None,
    count: int | None = None,
    seed: int = 1,
    features: int = EncoderSettings.features,
    epochs: int = EncoderSettings.epochs,
    quiet: bool = False,
) -> EncoderCard:
    """Train an encoder on real images into the file `out` (.keras), for use as a backbone; its card lies beside it."""
    chosen = {"sequence": sequence, "subset": subset, "where": where, "partition": partition, "size": size}
    images = image_set(real, real=True, count=count, seed=seed, **chosen)
    settings = EncoderSettings(features=features, epochs=epochs, seed=seed)
    data = open_prepared(Path(real)).hash if (Path(real) / "manifest.json").is_file() else None
    return train_encoder(images, Path(out), settings, quiet, chosen | {"count": count, "data": data})
