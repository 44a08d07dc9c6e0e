"""Classes of images, one model each: tumours of one sequence, or modalities of all patients."""

from kerasgan.data.modalities import MODALITIES, canonical
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.errors import UserError, nearest
from kerasgan.papers.aggrgan.settings import StudySettings

LEARNT, HELD_OUT = ("train", "validation"), ("test",)  # subsets: what GANs learn from, and what they never see


def tumours_of(prepared: Prepared, study: StudySettings) -> list[str]:
    """The tumours of `study` that a data set has with slices of `study.sequence`."""
    there = {visit.labels.get(study.label) for visit in prepared.manifest.visits if study.sequence in visit.ranges}
    return [name for name in study.tumours if name in there]


def modalities_of(prepared: Prepared, study: StudySettings) -> list[str]:
    """The modalities of `study` that a data set has, if it has more than one: else they are no classes."""
    there = {name for visit in prepared.manifest.visits for name in visit.ranges}
    found = [name for name in study.modalities if name in there]
    return found if len(found) > 1 else []


def categories_of(prepared: Prepared, study: StudySettings) -> list[str]:
    """All classes that a data set has; none is a `UserError`."""
    found = [*tumours_of(prepared, study), *modalities_of(prepared, study)]
    if not found:
        raise UserError(
            f"{prepared.folder} has no class: none of {', '.join(study.tumours)} in the label column {study.label!r}, "
            "and not two modalities; index the cohort again with --labels, or --set study.tumours"
        )
    return found


def sequence_of(category: str, study: StudySettings) -> str:
    """The modality of a class's slices; an unknown class is a `UserError`."""
    if category in study.tumours:
        return study.sequence
    if is_modality(category):
        return canonical(category)
    hint = nearest(category, (*study.tumours, *MODALITIES))
    raise UserError(f"unknown class {category!r}; {hint} (study.tumours, and modalities)")


def is_modality(category: str) -> bool:
    """Whether a class's name is one of a modality."""
    try:
        return bool(canonical(category))
    except UserError:
        return False


def visits_of(prepared: Prepared, study: StudySettings, category: str, held_out: bool) -> list[PreparedVisit]:
    """The visits with real slices of a class, of the patients learnt or of those held out; none is a `UserError`."""
    sequence, subsets = sequence_of(category, study), HELD_OUT if held_out else LEARNT
    found = [
        visit
        for subset in subsets
        for visit in prepared.visits(subset, study.partition, (sequence,))
        if sequence not in visit.synthetic
        and (category not in study.tumours or visit.labels.get(study.label) == category)
    ]
    if not found:
        raise UserError(
            f"{prepared.folder}: no {' or '.join(subsets)} patient of {category}; add patients, or split otherwise: "
            "--set split.seed, split.stratify"
        )
    return found
