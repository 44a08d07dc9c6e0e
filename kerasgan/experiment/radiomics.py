"""`evaluate radiomics`: what a forest on features of the tumour reaches on the same data."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from kerasgan.data.modalities import DISPLAY, MODALITIES
from kerasgan.data.pipeline import arrays_of
from kerasgan.data.prepare import Prepared, PreparedVisit, open_prepared
from kerasgan.errors import UserError, nearest
from kerasgan.evaluation import radiomics
from kerasgan.evaluation.forest import cross_validated, fit_predict, most_important
from kerasgan.experiment.preparation import simulated
from kerasgan.files import write_text
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise.classifier import label_of
from kerasgan.papers.pairwise.settings import ClassifierSettings
from kerasgan.report.tables import markdown

MEASURES = ("auc", "balanced_accuracy", "accuracy", "sensitivity", "specificity")
SHOWN = 10  # features

Statistic = dict[str, float | None]  # mean, and std with n - 1, of a single number None


@dataclass(frozen=True)
class ForestResult:
    """The radiomics forest in cross-validation; measures are fractions."""

    data: str  # which data that is
    data_hash: str  # of its manifest
    label: str
    patients: dict[str, int]  # class -> count, the positive class first
    modalities: tuple[str, ...]
    features: int
    folds: int
    repeats: int
    seed: int
    majority_rate: float
    per_fold: dict[str, Statistic]  # measure -> over folds x repeats
    per_repeat: dict[str, Statistic]  # measure -> over repeats, whose folds' patients are taken together
    importance: dict[str, float]  # the most important features: share of the decrease of impurity

    def markdown(self) -> str:
        """The data, the measures in per cent and the most important features, as Markdown."""
        counts = ", ".join(f"{count} {name}" for name, count in self.patients.items())
        images = ", ".join(DISPLAY[name] for name in self.modalities)
        rows = [
            [name.replace("_", " "), *map(_percent, (self.per_fold[name], self.per_repeat[name]))] for name in MEASURES
        ]
        rows.append(["accuracy of always the larger class", *[f"{100 * self.majority_rate:.1f}"] * 2])
        header = ["%, mean (std)", f"{self.folds * self.repeats} folds", f"{self.repeats} repeats, folds together"]
        important = [[name, f"{share:.3f}"] for name, share in self.importance.items()]
        return (
            f"Data: {self.data}: {sum(self.patients.values())} patients ({self.label}: {counts}), {images}\n\n"
            f"Radiomics forest, {self.folds}-fold cross-validation by patient, {self.repeats} times, seed {self.seed}; "
            f"positive: {next(iter(self.patients))}\n\n{markdown(header, rows)}\n\n"
            f"{markdown([f'feature, of {self.features}', 'impurity importance'], important)}"
        )


def _percent(statistic: Statistic) -> str:
    mean, std = statistic["mean"], statistic["std"]
    return f"{100 * mean:.1f} ({100 * std:.1f})" if std is not None else f"{100 * mean:.1f} (–)"


def evaluate_radiomics(
    *,
    data: str | Path | None = None,
    config: str | Path | None = None,
    profile: str = "full",
    overrides: Sequence[str] = (),
    folds: int = 5,
    repeats: int = 10,
    seed: int = 1,
    out: str | Path | None = None,
    quiet: bool = False,
) -> ForestResult:
    """Cross-validate the radiomics forest on all patients of a prepared folder, whatever its split.

    Args:
        data: a prepared folder; None: the simulated cohort of the settings.
        config, profile, overrides: see `papers.settings_of`; `classifier.label`, `positive`, `negative` and
            `modalities` say what is told apart, and from what.
        folds: 2 or more, of which no class may have fewer patients.
        repeats: 1 or more, each with other folds.
        seed: of folds and forests; the same seed gives the same numbers.
        out: a JSON file for the result; one that is there is replaced.
        quiet: no progress.
    """
    settings = settings_of("classifier", config, profile, overrides)
    chosen = settings.classifier
    prepared = open_prepared(Path(data)) if data else simulated(settings, quiet)
    visits = [visit for visit in prepared.manifest.visits if not visit.synthetic.intersection(chosen.modalities)]
    if not quiet:
        left_out = len(prepared.manifest.visits) - len(visits)
        note = f"; left out: {left_out} visits with synthetic images" if left_out else ""
        click.echo(f"data: {prepared.manifest.origin}{note}", err=True)
    truth = _truth(prepared, visits, chosen)
    counts = _counts(truth, chosen)
    _refuse_more_folds(prepared, counts, folds)
    modalities = _modalities(prepared, visits, chosen)
    names, values = _table(prepared, visits, modalities, quiet)
    found = cross_validated(values, np.array(list(truth.values())), folds, repeats, seed, quiet)
    result = ForestResult(
        data=prepared.manifest.origin,
        data_hash=prepared.hash,
        label=chosen.label,
        patients=counts,
        modalities=modalities,
        features=len(names),
        folds=folds,
        repeats=repeats,
        seed=seed,
        majority_rate=max(counts.values()) / len(truth),
        per_fold=_statistics(found.folds),
        per_repeat=_statistics(found.repeats),
        importance=most_important(names, found.importance, SHOWN),
    )
    if out:
        write_text(Path(out), json.dumps(asdict(result), indent=1, allow_nan=False) + "\n")
    return result


def study_prediction(
    prepared: Prepared, partition: int, modalities: Sequence[str], classifier: ClassifierSettings
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """The radiomics forest on a partition's own patients: learns its real training patients, judges its test patients.

    Returns the m test patients, and of each the class (0 or 1), the probability of class 1, and the decision: (m,).
    """
    wanted = tuple(modalities)
    train = [v for v in prepared.visits("train", partition, wanted) if not v.synthetic.intersection(wanted)]
    test = prepared.visits("test", partition, wanted)
    by_subset = [_truth(prepared, visits, classifier) for visits in (train, test)]
    _counts(by_subset[0], classifier)
    _, values = _table(prepared, [*train, *test], wanted, quiet=True)
    learnt, truth = (np.array(list(subset.values())) for subset in by_subset)
    score, decision, _ = fit_predict(values[: len(learnt)], learnt, values[len(learnt) :], classifier.seed)
    return list(by_subset[1]), truth, score, decision


def _truth(prepared: Prepared, visits: Sequence[PreparedVisit], classifier: ClassifierSettings) -> dict[str, int]:
    """Patient -> class, in the order of their first visits."""
    columns = dict.fromkeys(column for visit in visits for column in visit.labels)
    if classifier.label not in columns:
        hint = nearest(classifier.label, columns) if columns else "it has no labels at all"
        raise UserError(
            f"{prepared.folder} has no label column {classifier.label!r}; {hint}: choose one by --set "
            "classifier.label, or index the cohort again with --labels"
        )
    truth: dict[str, int] = {}
    for visit in visits:
        own = label_of(visit, classifier)
        if truth.setdefault(visit.patient, own) != own:
            raise UserError(
                f"{prepared.folder}: the visits of {visit.patient} have both values in the label column "
                f"{classifier.label!r}; expected one per patient: mend the cohort's CSV"
            )
    return truth


def _counts(truth: dict[str, int], classifier: ClassifierSettings) -> dict[str, int]:
    """Class -> patients; one class alone is a `UserError`."""
    number = Counter(truth.values())
    counts = {classifier.positive: number[1], classifier.negative: number[0]}
    if not all(counts.values()):
        (only,) = (name for name, count in counts.items() if count)
        raise UserError(
            f"all {len(truth)} patients are {only!r} in the label column {classifier.label!r}; expected "
            f"{classifier.positive!r} and {classifier.negative!r}: add patients of the other class"
        )
    return counts


def _refuse_more_folds(prepared: Prepared, counts: dict[str, int], folds: int) -> None:
    few = min(counts, key=counts.get)
    if counts[few] < folds:
        raise UserError(
            f"{prepared.folder} has {counts[few]} patients of class {few!r}, fewer than {folds} folds; give --folds "
            "from 2 to that number, or add patients"
        )


def _modalities(prepared: Prepared, visits: Sequence[PreparedVisit], classifier: ClassifierSettings) -> tuple[str, ...]:
    """Those of `classifier.modalities` that any visit has; a patient without one of them has NaN for its features."""
    there = {modality for visit in visits for modality in visit.ranges}
    found = tuple(name for name in MODALITIES if name in there and name in classifier.modalities)
    if not found:
        raise UserError(
            f"{prepared.folder} has {', '.join(sorted(there)) or 'no modality'}, and none of classifier.modalities "
            f"({', '.join(classifier.modalities)}); choose by --set classifier.modalities"
        )
    return found


def _table(
    prepared: Prepared, visits: Sequence[PreparedVisit], modalities: Sequence[str], quiet: bool
) -> tuple[list[str], np.ndarray]:
    """Names and values (patients, f) of the features, in the order of the patients' first visits."""
    vectors = [
        _vector(prepared, visit, [name for name in modalities if name in visit.ranges])
        for visit in tqdm(visits, desc="features", unit="visit", disable=quiet)
    ]
    return radiomics.table(vectors, [visit.patient for visit in visits])


def _vector(prepared: Prepared, visit: PreparedVisit, modalities: Sequence[str]) -> radiomics.Features:
    arrays = arrays_of(prepared, [visit], modalities)
    tumour = arrays.pop("tumour")
    chosen = tumour.any(axis=(1, 2))
    if not chosen.any() or not modalities:
        lacking = "no slice with tumour" if modalities else "none of the modalities that others have"
        raise UserError(
            f"{prepared.folder}: {visit.name} has {lacking}, so no features; leave it out of the cohort's CSV"
        )
    names, values = radiomics.features({name: image[chosen] for name, image in arrays.items()}, tumour[chosen])
    views = [view for (view, _, _), some in zip(visit.slices, chosen, strict=True) if some]
    return radiomics.of_visit(names, values, views)


def _statistics(measured: Sequence[dict[str, float]]) -> dict[str, Statistic]:
    values = {name: [each[name] for each in measured] for name in MEASURES}
    return {
        name: {"mean": float(np.mean(own)), "std": float(np.std(own, ddof=1)) if len(own) > 1 else None}
        for name, own in values.items()
    }
