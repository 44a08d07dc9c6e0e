"""Which patient is in which subset: split by patient, never by slice or visit."""

import math
from collections.abc import Mapping

import numpy as np

from kerasgan.data.cohort import Cohort
from kerasgan.data.settings import SplitSettings
from kerasgan.errors import UserError

SUBSETS = ("train", "validation", "test")
Partition = dict[str, list[str]]


def partition_patients(classes: Mapping[str, str], settings: SplitSettings) -> list[Partition]:
    """`settings.partitions` partitions of patients into train, validation and test, class by class.

    `classes` maps a patient to the class whose shares are kept (one class for all: no stratification). Validation and
    test get their share rounded up, training the rest: with 55 and 112 patients and 60/20/20 this gives 33/66, 11/23
    and 11/23, the counts of Ge 2020, Table 1(b). UserError for too few patients of a class.

    Scheme "random": partition k is drawn anew and depends on the seed and k alone. Scheme "folds": partition k tests
    the k-th of as many folds (k-fold cross-validation), each patient once; folds differ by one patient at most, in all
    and within a class.
    """
    members: dict[str, list[str]] = {}
    for patient in sorted(classes):
        members.setdefault(classes[patient], []).append(patient)
    if settings.scheme == "folds":
        return _folds(members, settings)
    return [
        _draw(members, settings, np.random.default_rng([settings.seed, number]))
        for number in range(1, settings.partitions + 1)
    ]


def stratify(cohort: Cohort, column: str | None) -> tuple[dict[str, str], str | None]:
    """The class of each patient for stratification, and the column it came from (None: the cohort lacks it)."""
    column = column if column in cohort.label_columns else None
    classes: dict[str, str] = {}
    for visit in cohort.visits:
        label = visit.labels.get(column, "") if column else "all"
        if not label:
            raise UserError(
                f"{visit.name} has no value in the label column {column!r}, by which the split stratifies; add it, or "
                "give --set split.stratify=null"
            )
        if classes.setdefault(visit.patient, label) != label:
            raise UserError(f"patient {visit.patient} has two values in the label column {column!r}; expected one")
    return classes, column


def _draw(members: Mapping[str, list[str]], settings: SplitSettings, rng: np.random.Generator) -> Partition:
    partition: Partition = {subset: [] for subset in SUBSETS}
    for name, patients in sorted(members.items()):
        # The small subtraction keeps 0.2 * 55 = 11.000000000000002 from becoming 12.
        validation = math.ceil(settings.validation * len(patients) - 1e-9)
        test = math.ceil(settings.test * len(patients) - 1e-9)
        if validation + test >= len(patients):
            raise UserError(
                f"{len(patients)} patients of class {name!r} are too few to fill train, validation and test; "
                "add patients, or give --set split.stratify=null"
            )
        shuffled = [patients[i] for i in rng.permutation(len(patients))]
        partition["validation"] += shuffled[:validation]
        partition["test"] += shuffled[validation : validation + test]
        partition["train"] += shuffled[validation + test :]
    return {subset: sorted(patients) for subset, patients in partition.items()}


def _folds(members: Mapping[str, list[str]], settings: SplitSettings) -> list[Partition]:
    """Partition k tests fold k; its validation patients are the first of the folds after it, in a circle."""
    partitions: list[Partition] = [{subset: [] for subset in SUBSETS} for _ in range(settings.partitions)]
    rng, dealt = np.random.default_rng(settings.seed), 0
    for name, patients in sorted(members.items()):
        validation = math.ceil(settings.validation * len(patients) - 1e-9)
        largest = -(-len(patients) // settings.partitions)
        if len(patients) < settings.partitions or validation + largest >= len(patients):
            raise UserError(
                f"{len(patients)} patients of class {name!r} are too few for {settings.partitions} folds; add "
                "patients, lower split.partitions (and raise split.test), or give --set split.stratify=null"
            )
        shuffled = [patients[i] for i in rng.permutation(len(patients))]
        # Dealt like cards, on from where the class before ended, so that folds of all classes differ by one at most.
        folds = [shuffled[(k - dealt) % settings.partitions :: settings.partitions] for k in range(settings.partitions)]
        dealt += len(patients)
        for k, partition in enumerate(partitions):
            rest = [patient for fold in (*folds[k + 1 :], *folds[:k]) for patient in fold]
            partition["test"] += folds[k]
            partition["validation"] += rest[:validation]
            partition["train"] += rest[validation:]
    return [{subset: sorted(patients) for subset, patients in partition.items()} for partition in partitions]


def check_disjoint(partition: Partition, where: str) -> None:
    """A patient in two subsets is a leak: a `UserError`."""
    seen: dict[str, str] = {}
    for subset, patients in partition.items():
        for patient in patients:
            if patient in seen:
                raise UserError(
                    f"{where}: patient {patient} is in {seen[patient]} and in {subset}; results on leaked patients "
                    "mean nothing, prepare the data again"
                )
            seen[patient] = subset
