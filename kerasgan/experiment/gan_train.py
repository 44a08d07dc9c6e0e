"""`evaluate gan-train`: what a classifier is worth that learns from generated images, tested on real ones."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kerasgan.data.imagesets import ImageSet
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.evaluation.features import backbone as backbone_of
from kerasgan.evaluation.gan_train import MEASURES, GanTrain, Side, SvmSettings, Trial, gan_train
from kerasgan.experiment.generation import classes_of, learnt_by
from kerasgan.experiment.images import image_set
from kerasgan.experiment.memorisation import check_held_out
from kerasgan.experiment.runs import open_run
from kerasgan.files import write_text
from kerasgan.report.tables import NO_INTERVAL, between, markdown

Sources = Mapping[str, str | Path]  # by class: a folder, or a run

SHORT = dict(zip(MEASURES, ("Sen", "Spe", "HM", "accuracy", "AUC"), strict=True))
UNKNOWN = "Nothing says whether the GAN has learnt the test patients too; if it has, GAN-train is too high."
NO_PATIENTS = (
    "The real test images are of no known patients, so each counts as independent: if some are slices of one patient, "
    "intervals are too narrow."
)
NO_TRAINING = "Without real training images there is neither GAN-test nor real on real; give --training."
RESAMPLED = "Chance is 0.5. Intervals draw what is tested anew within each class: {}."


@dataclass(frozen=True)
class GanTrainReport:
    """GAN-train with how its images were chosen and what to mind in reading it."""

    result: GanTrain
    chosen: dict[str, str | int | None]
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """Classes, features, settings, the table of trials, and the notes."""
        result, settings = self.result, self.result.settings
        about = [
            f"Positive: {result.positive} (Sen); negative: {result.negative} (Spe)",
            *(f"{name}, {line}" for name, side in self._sides().items() for line in _lines(side)),
            f"Backbone: {result.features}",
            f"Preprocessing: {result.preprocessing}",
            f"Linear SVM, C {settings.c:g}; intervals of {settings.confidence:.0%} from {settings.bootstrap} bootstrap "
            f"samples, seed {settings.seed}",
        ]
        return "\n\n".join(["\n".join(about), markdown(["", *SHORT.values()], self._rows()), *self.notes])

    def _sides(self) -> dict[str, Side]:
        (first, *_), *_ = self.result.gan_train.values()
        sides = {"Synthetic": first.training, "Real, test": first.test}
        return sides | ({"Real, training": self.result.reference.training} if self.result.reference else {})

    def _rows(self) -> list[list[str]]:
        found = []
        for protocol, trials in (("GAN-train", self.result.gan_train), ("GAN-test", self.result.gan_test)):
            for own in trials.values():
                names = [protocol] if len(own) == 1 else [f"{protocol}, {number}" for number in range(1, len(own) + 1)]
                found += [_row(name, trial) for name, trial in zip(names, own, strict=True)]
                if len(own) > 1:
                    found.append(_mean_row(f"{protocol}, mean (sd)", own))
        return found + ([_row("real on real", self.result.reference)] if self.result.reference else [])

    def write(self, path: str | Path) -> None:
        """The result as JSON; a file that is there is replaced."""
        content = asdict(self.result) | {"chosen": self.chosen, "notes": self.notes}
        write_text(Path(path), json.dumps(content, indent=1, allow_nan=False) + "\n")


def evaluate_gan_train(
    *,
    synthetic: Sources,
    real: Sources,
    positive: str,
    training: Sources | None = None,
    label: str | None = None,
    sequence: str | None = None,
    partition: int = 1,
    size: int | None = None,
    count: int | None = None,
    repeats: int = 1,
    seed: int = 1,
    backbone: str = "vgg16",
    c: float = 1.0,
    bootstrap: int = 2000,
    confidence: float = 0.95,
    out: str | Path | None = None,
    quiet: bool = False,
) -> GanTrainReport:
    """GAN-train, GAN-test and real on real; see `evaluation.gan_train`.

    Args:
        synthetic: of two classes: finished runs, folders of images, or prepared folders.
        real: the test images of the same classes: prepared folders, of which the test subset is taken, or folders of
            images.
        positive: the class that sensitivity is about.
        training: real training images: prepared folders, of which the training subset is taken, or folders of images;
            None: those of `real` if these are prepared folders, else none.
        label: a column of prepared folders in which the patients of a class have its name; None: all patients.
        sequence, partition, size: see `experiment.images.image_set`.
        count: synthetic images of each class; None: all there are, and for a run an error.
        repeats: generations of the runs, each with the next seed.
        seed: of the bootstrap, of the draw of synthetic images, and of a run's noise.
        backbone: see `evaluation.features`.
        c: the SVM's C.
        bootstrap, confidence: samples, and 0 to 1, of the intervals.
        out: a JSON file for the result; one that is there is replaced.

    UserError if a run, or a folder of `generate`, says that it has learnt the test patients.
    """
    _check_repeats(synthetic, repeats)
    _check_told(synthetic)
    if label is None:
        _check_labelled({"--real": real, "--synthetic": synthetic, "--training": training or {}})
    if training is None and all(_is_prepared(source) for source in real.values()):
        training = real
    sequence = sequence or _sequence_learnt(synthetic)
    common = {"sequence": sequence, "partition": partition, "size": size}

    def images(sources: Sources, **more: object) -> dict[str, ImageSet]:
        return {
            name: image_set(source, where=f"{label}={name}" if label else None, category=name, **common, **more)
            for name, source in sources.items()
        }

    held_out = [
        check_held_out(Path(own), Path(real[name]), partition) for name, own in synthetic.items() if name in real
    ]
    result = gan_train(
        {"the GAN": [images(synthetic, count=count, seed=seed + i) for i in range(repeats)]},
        images(real, subset="test", real=True),
        images(training, subset="train", real=True) if training else None,
        positive=positive,
        space=backbone_of(backbone),
        settings=SvmSettings(c, bootstrap, confidence, seed),
        quiet=quiet,
    )
    chosen = common | {"label": label, "count": count, "repeats": repeats, "seed": seed}
    report = GanTrainReport(result, chosen, _notes(result, all(held_out)))
    if out:
        report.write(out)
    return report


def _is_prepared(source: str | Path) -> bool:
    return (Path(source) / "manifest.json").is_file()


def _sequence_learnt(synthetic: Sources) -> str | None:
    """The one sequence that all GANs have learnt, so that real images of others are left out; None if not known."""
    known = {(learnt_by(source) or {}).get("sequence") for source in synthetic.values() if not _is_prepared(source)}
    return known.pop() or None if len(known) == 1 else None


def _check_told(synthetic: Sources) -> None:
    """A run that is given for several classes must know them, else all would get the same images."""
    for name, source in synthetic.items():
        again = [other for other, own in synthetic.items() if other != name and Path(own) == Path(source)]
        if again and (Path(source) / "run.json").is_file() and not classes_of(open_run(source)):
            raise UserError(
                f"{source} is given for {name} and {again[0]}, but its generator knows no classes; give a run for each"
            )


def _check_labelled(by_option: Mapping[str, Sources]) -> None:
    """A prepared folder that is given for several classes needs a label, else all would get the same patients."""
    given = [(option, sources, *own) for option, sources in by_option.items() for own in sources.items()]
    for option, sources, name, source in given:
        again = [other for other, own in sources.items() if other != name and Path(own) == Path(source)]
        if again and _is_prepared(source):
            labels = [visit.labels for visit in open_prepared(Path(source)).manifest.visits]
            columns = sorted({column for own in labels for column in own})
            fitting = [column for column in columns if {name, *again} <= {own.get(column) for own in labels}]
            advice = f"give --label {fitting[0]}" if fitting else f"give --label with one of {', '.join(columns)}"
            raise UserError(
                f"{option} gives {source} for {name} and {again[0]} without a column that tells their patients apart; "
                + (advice if columns else "prepare it from a cohort with a label column")
            )


def _check_repeats(synthetic: Sources, repeats: int) -> None:
    for source in synthetic.values():
        if repeats > 1 and not (Path(source) / "run.json").is_file():
            raise UserError(
                f"{source} is no run, so it cannot generate {repeats} times; leave out --repeats, or give runs"
            )


def _notes(result: GanTrain, held_out: bool) -> tuple[str, ...]:
    ((test, *_),) = result.gan_train.values()
    drawn = [f"{test.resampled} of the real images"]
    drawn += [f"{trial.resampled} of the synthetic ones" for trial, *_ in result.gan_test.values()]
    notes = [RESAMPLED.format(", ".join(drawn))]
    notes += [] if held_out else [UNKNOWN]
    notes += [] if test.test.patients else [NO_PATIENTS]
    trials = [*itertools.chain(*result.gan_train.values(), *result.gan_test.values()), result.reference]
    known = [low < high for trial in trials if trial for low, high in trial.intervals.values()]
    notes += [] if all(known) else [NO_INTERVAL]
    return tuple(notes if result.reference else [*notes, NO_TRAINING])


def _lines(side: Side) -> Iterator[str]:
    """Of each class its data and how much of it."""
    for name, count in side.images.items():
        patients = f" of {side.patients[name]} patients" if side.patients else ""
        yield f"{name}: {side.origins[name]}: {count} images{patients}"


def _row(name: str, trial: Trial) -> list[str]:
    cells = [f"{trial.measures[key]:.3f} ({between(*trial.intervals[key], 3)})" for key in MEASURES]
    return [name, *cells]


def _mean_row(name: str, trials: Sequence[Trial]) -> list[str]:
    values = {key: [trial.measures[key] for trial in trials] for key in MEASURES}
    return [name, *(f"{np.mean(own):.3f} ({np.std(own, ddof=1):.3f})" for own in values.values())]
