"""What an index of a folder has found, in a few lines: images, masks, labels, and the files that it has not used."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasgan.data import images, matlab
from kerasgan.data.cohort import Cohort, Visit
from kerasgan.data.layouts import files_below
from kerasgan.data.modalities import DISPLAY
from kerasgan.data.volumes import files_of, volume_stem

NAMED = 3  # visits or files, of more the number
SPELT_OUT = 8  # values of a label, of more the number
_TABLES = ("cvind.mat",)  # MATLAB files without an image


def overview(cohort: Cohort, folder: Path) -> list[str]:
    """Lines on a cohort that was indexed from `folder`: what is there of each kind, in how many visits, what is not."""
    return [_of_images(cohort.visits), *_of_labels(cohort), *_of_unused(cohort, folder.resolve())]


def _of_images(visits: Sequence[Visit]) -> str:
    counts = Counter(name for visit in visits for name in visit.images)
    shown = ", ".join(f"{DISPLAY[name]} {counts[name]}" for name in DISPLAY if counts[name])
    bare = [visit.name for visit in visits if visit.segmentation is None]
    masks = f"masks {len(visits) - len(bare)}{_none_for(bare)}" if len(bare) < len(visits) else "no masks"
    return f"images: {shown or 'none'}; {masks}"


def _of_labels(cohort: Cohort) -> Iterator[str]:
    if not cohort.label_columns:
        yield "labels: none; --labels TABLE --label-column NAME adds some"
    for column in cohort.label_columns:
        counts = Counter(visit.labels[column] for visit in cohort.visits if column in visit.labels)
        shown = ", ".join(f"{value} {count}" for value, count in sorted(counts.items()))
        without = [visit.name for visit in cohort.visits if column not in visit.labels]
        several = shown if len(counts) <= SPELT_OUT else f"{len(counts)} values"
        yield f"label {column}: {several}{_none_for(without)}"


def _of_unused(cohort: Cohort, folder: Path) -> Iterator[str]:
    """Files of images that no visit names: of no known kind, or of one that the layout leaves aside."""
    sources = (source for visit in cohort.visits for source in (*visit.images.values(), visit.segmentation) if source)
    used = {Path(file) for source in dict.fromkeys(sources) for file in files_of(source)}
    unused = [path for path in files_below(folder) if _holds_images(path) and path not in used]
    if unused:
        yield f"not used: {_some([path.relative_to(folder).as_posix() for path in unused])}"


def _holds_images(path: Path) -> bool:
    known = volume_stem(path.name) is not None or images.is_image(path.name) or matlab.is_slice(path.name)
    return known and path.name.lower() not in _TABLES


def _none_for(names: Sequence[str]) -> str:
    return f", none for {_some(names)}" if names else ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
