"""Would a cohort's files work? Reads every one of them wholly and says per visit what is wrong or unusual."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np

from kerasgan.data.cohort import Cohort, Visit
from kerasgan.data.modalities import DISPLAY, MODALITIES, SEGMENTATION
from kerasgan.data.settings import SliceSettings, SplitSettings
from kerasgan.data.slices import refuse_other_views, select
from kerasgan.data.splits import partition_patients, stratify
from kerasgan.data.volumes import Volume, disagreement, is_planar, labels_of, read_each
from kerasgan.errors import UserError
from kerasgan.threads import thread_pool

THICK = 3.0  # mm; BraTS has 1 mm, 2-D clinical protocols 5 mm and more
ANISOTROPIC = 2.0  # longest over shortest side of a voxel
LARGEST_LABEL = 4  # of BraTS' segmentations
LEAST_BACKGROUND = 0.2  # of an image's voxels; of an ellipsoid's bounding box 0.48 are outside


@dataclass(frozen=True)
class Finding:
    """One sentence about one visit (by name) or about all: an error makes `prepare` fail, a note is for the eye."""

    visit: str
    severity: Literal["error", "note"]
    message: str


class _Read(NamedTuple):
    findings: list[Finding]
    orientations: dict[str, str]  # modality or segmentation to the stored orientation


def check_cohort(
    cohort: Cohort,
    slicing: SliceSettings | None = None,
    splitting: SplitSettings | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> list[Finding]:
    """Findings in the order of visits; `progress` is called with each visit's name once it is read.

    With settings, also what would keep `prepare` from selecting slices and from splitting the patients.

    Errors: unreadable, truncated or not 3-D files, NaN or infinite voxels, shapes or affines that differ within a
    visit, constant images, a segmentation that is empty, not whole-numbered, or missing while other visits have one, a
    file used twice. Notes: a modality or a segmentation is missing, an orientation that most do not have, thick or long
    voxels, negative intensities, a background that is not 0, an image that looks like a label map, 2-D images.
    """
    expected = _expected(cohort)
    used_twice = _used_twice(cohort)
    reads: list[_Read] = []
    # Threads do: decompression and NumPy release the interpreter lock.
    with thread_pool(workers) as pool:
        results = pool.map(lambda visit: _check_visit(visit, slicing), cohort.visits)
        for visit, read in zip(cohort.visits, results, strict=True):
            reads.append(read)
            if progress:
                progress(visit.name)
    usual = Counter(chain.from_iterable(read.orientations.values() for read in reads)).most_common(1)
    findings: list[Finding] = []
    for visit, read in zip(cohort.visits, reads, strict=True):
        findings += _check_complete(visit, expected) + used_twice.get(visit.name, []) + read.findings
        findings += [
            Finding(
                visit.name, "note", f"{_label(name)} is stored as {orientation}, most of the cohort as {usual[0][0]}"
            )
            for name, orientation in read.orientations.items()
            if orientation != usual[0][0]
        ]
    return findings + _planar_findings(cohort, slicing) + (_split_errors(cohort, splitting) if splitting else [])


def _planar_findings(cohort: Cohort, slicing: SliceSettings | None) -> list[Finding]:
    """One note on all 2-D images, and an error if they would have to be cut along other views."""
    first = [next(filter(is_planar, _sources(visit).values()), None) for visit in cohort.visits]
    planar = [source for source in first if source]
    if not planar:
        return []
    message = f"{len(planar)} of {len(first)} visits, whose voxels count as 1 x 1 x 1 mm since their size is unknown"
    findings = [Finding("2-D images", "note", message)]
    try:
        if slicing:
            refuse_other_views(planar[0], slicing)
    except UserError as error:
        findings.append(Finding("2-D images", "error", str(error)))
    return findings


def _split_errors(cohort: Cohort, splitting: SplitSettings) -> list[Finding]:
    try:
        partition_patients(stratify(cohort, splitting.stratify)[0], splitting)
    except UserError as error:
        return [Finding("the split", "error", str(error))]
    return []


def check_needs(cohort: Cohort, section: str, wanted: Mapping[str, Any]) -> list[Finding]:
    """Notes on what a model's settings, `wanted` of a `section`, ask for: `prepare` does without it, training does not.

    Looks at `label` (a column), its values `negative` and `positive`, `value`, or `tumours`, and at the `modalities`,
    `modality` or `sequence` that every image of the training is of.
    """
    messages = []
    if label := wanted.get("label"):
        values = [wanted[name] for name in ("negative", "positive", "value") if name in wanted] or wanted["tumours"]
        found = Counter(visit.labels.get(label) for visit in cohort.visits)
        if label not in cohort.label_columns:
            messages.append(
                f"the cohort has no label column {label!r} ({section}.label) with {', '.join(values)}: add it to the "
                f"CSV, or index again with --labels TABLE --label-column {label}"
            )
        elif lacking := [value for value in values if value not in found]:
            there = ", ".join(f"{value} ({count})" for value, count in found.items() if value)
            messages.append(f"no visit has {label} {' or '.join(lacking)}; visits by {label}: {there}")
    names = [wanted[name] for name in ("modality", "sequence") if name in wanted] or wanted.get("modalities", [])
    count = sum(all(name in visit.images for name in names) for visit in cohort.visits)
    if count < len(cohort.visits):
        shown = ", ".join(DISPLAY[name] for name in names)
        messages.append(f"{count} of {len(cohort.visits)} visits have {shown}, which {section} asks for")
    return [Finding("for training", "note", message) for message in messages]


# ---- without reading ------------------------------------------------------------------------------------------------


def _expected(cohort: Cohort) -> set[str]:
    """What at least one visit has."""
    found = {name for visit in cohort.visits for name in visit.images}
    return found | ({SEGMENTATION} if any(visit.segmentation for visit in cohort.visits) else set())


def _check_complete(visit: Visit, expected: set[str]) -> list[Finding]:
    findings = [
        Finding(visit.name, "note", f"{DISPLAY[name]} is missing")
        for name in MODALITIES
        if name in expected and name not in visit.images
    ]
    if not visit.images:
        findings = [Finding(visit.name, "error", "there is no image: leave the visit out or add one")]
    if visit.segmentation is None and SEGMENTATION in expected:
        findings.append(Finding(visit.name, "error", "the segmentation is missing, other visits have one"))
    if SEGMENTATION not in expected:
        findings.append(
            Finding(
                visit.name,
                "note",
                "there is no segmentation, nor is there in other visits: slices can be chosen by position only",
            )
        )
    return findings


def _used_twice(cohort: Cohort) -> dict[str, list[Finding]]:
    """Findings by visit: one file under two names would pass for two images, or for two patients."""
    first: dict[str, str] = {}
    findings: dict[str, list[Finding]] = {}
    for visit in cohort.visits:
        for name, source in _sources(visit).items():
            here = f"{_label(name)} of {visit.name}"
            other = first.setdefault(source, here)
            if other != here:
                finding = Finding(visit.name, "error", f"{source} is used twice, as {other} and as {here}")
                findings.setdefault(visit.name, []).append(finding)
    return findings


# ---- reading --------------------------------------------------------------------------------------------------------


def _check_visit(visit: Visit, slicing: SliceSettings | None) -> _Read:
    results = read_each(_sources(visit))
    volumes = {name: volume for name, volume in results.items() if isinstance(volume, Volume)}
    # a 4-D file that cannot be read says so once per channel
    errors = list(dict.fromkeys(str(error) for error in results.values() if isinstance(error, UserError)))
    errors += _grid_errors(volumes)
    notes: list[str] = []
    for name, volume in volumes.items():
        if name == SEGMENTATION:
            errors += _segmentation_errors(volume, slicing)
        else:
            image_errors, image_notes = _check_intensities(name, volume)
            errors += image_errors
            notes += image_notes
        notes += _spacing_notes(name, volume)
    notes += _background_notes(volumes)
    if slicing and visit.segmentation is None:
        if slicing.selection == "range":
            errors += [
                problem
                for volume in list(volumes.values())[:1]
                for problem in _selection_errors(volume.data, volume.source, slicing)
            ]
        else:
            errors.append("there is no segmentation, by which the slices are selected (or set data.selection=range)")
    findings = [Finding(visit.name, "error", text) for text in errors] + [Finding(visit.name, "note", t) for t in notes]
    return _Read(findings, {name: volume.geometry.orientation for name, volume in volumes.items()})


def _sources(visit: Visit) -> dict[str, str]:
    return dict(visit.images) | ({SEGMENTATION: visit.segmentation} if visit.segmentation else {})


def _grid_errors(volumes: Mapping[str, Volume]) -> list[str]:
    first, *others = volumes.values() or [None]
    return [problem for other in others if (problem := disagreement(first, other))]


def _segmentation_errors(volume: Volume, slicing: SliceSettings | None) -> list[str]:
    try:
        labels = labels_of(volume)
    except UserError as error:
        return [str(error)]
    if not labels.any():
        return [f"the segmentation is empty (every voxel is 0): {volume.source}"]
    return _selection_errors(labels, volume.source, slicing) if slicing else []


def _selection_errors(labels: np.ndarray, source: str, slicing: SliceSettings) -> list[str]:
    """What keeps slices from being selected by these voxels, of which the selection `range` uses the shape alone."""
    errors = []
    for view in slicing.views:
        if view != "axial" and is_planar(source):
            continue
        try:
            select(labels, view, slicing)
        except UserError as error:
            errors.append(str(error))
    return errors


def _check_intensities(name: str, volume: Volume) -> tuple[list[str], list[str]]:
    """Errors and notes on an image's range."""
    low, high = volume.data.min(), volume.data.max()
    if low == high:
        return [f"{_label(name)} is {low} everywhere: {volume.source}"], []
    if low < 0:
        return [], [f"{_label(name)} has negative intensities (down to {low:.4g}): 0 is taken for background"]
    if high <= LARGEST_LABEL and volume.data.dtype.kind in "iu":
        return [], [f"{_label(name)} has only whole numbers from {low} to {high}: is it a segmentation?"]
    return [], []


def _background_notes(volumes: Mapping[str, Volume]) -> list[str]:
    """One note on all images of a visit whose background is not 0."""
    filled = [
        _label(name)
        for name, volume in volumes.items()
        if name != SEGMENTATION and np.count_nonzero(volume.data) > (1 - LEAST_BACKGROUND) * volume.data.size
    ]
    if not filled:
        return []
    return [
        f"less than {LEAST_BACKGROUND:.0%} of {' and of '.join(filled)} is 0: what surrounds the head counts as brain "
        "where it is not 0"
    ]


def _spacing_notes(name: str, volume: Volume) -> list[str]:
    sides = volume.geometry.spacing
    if max(sides) > THICK or max(sides) > ANISOTROPIC * min(sides):
        return [f"{_label(name)} has voxels of {' x '.join(f'{side:.3g}' for side in sides)} mm"]
    return []


def _label(name: str) -> str:
    return DISPLAY.get(name, name)
