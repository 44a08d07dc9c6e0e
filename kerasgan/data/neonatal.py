"""Whole heads without tumours, such as those of neonates: a folder per sequence, or files side by side.

    T1/ALBERT_02.nii.gz, T2/ALBERT_02.nii.gz        a folder per sequence, as the ALBERTs (Gousias et al. 2012)
    P02_T1.nii.gz, P02_t2w.nii.gz                   side by side
    sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz       BIDS, as the Developing Human Connectome Project

Classes, which no folder holds, come from a table: `--labels TABLE --label-column class`. A table of numbers, such as
ages, needs a column of its own for the class made out of them, since where the border lies is the study's decision.
Segmentations are left out: those of whole heads are of tissues, not of tumours.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from kerasgan.data.cohort import Cohort
from kerasgan.data.layouts import Key, cohort_of, visits_of, volumes_below
from kerasgan.data.modalities import MODALITIES, SEGMENTATION, kind_of, kind_of_file
from kerasgan.data.volumes import volume_stem
from kerasgan.errors import UserError

_BIDS = re.compile(r"(?P<patient>sub-[A-Za-z0-9]+)(_ses-(?P<visit>[A-Za-z0-9]+))?(_.*)?")


def index_neonatal(folder: Path) -> Cohort:
    """Whole heads by sequence, in folders or side by side; UserError without any image."""
    found: list[tuple[Key, str, Path]] = []
    for path in volumes_below(folder):
        name, kind = _name_and_kind(path, folder)
        if kind is not None and kind != SEGMENTATION:
            match = _BIDS.fullmatch(name)
            key = (match["patient"], match["visit"] or "") if match else (name, "")
            found.append((key, kind, path))
    return cohort_of(visits_of(found), f"whole heads in {folder.name}", "neonatal", folder)


def fits(folder: Path, paths: Sequence[Path]) -> bool:
    """Whether volumes lie in folders named like sequences, or those of several patients side by side, or as in BIDS.

    With a segmentation among them they are of tumours, and another layout's.
    """
    kinds = [kind_of_file(volume_stem(path.name) or "") for path in paths]
    if SEGMENTATION in kinds:
        return False
    if any(_folder_kind(path, folder) for path in paths):
        return True
    named = [path for path, kind in zip(paths, kinds, strict=True) if kind]
    if named and all(_BIDS.fullmatch(volume_stem(path.name) or "") for path in named):
        return True
    names = [_name_and_kind(path, folder) for path in named]
    side_by_side = len({path.parent for path in named}) == 1
    return side_by_side and len(set(names)) == len(names) > len({kind for _, kind in names})


def _folder_kind(path: Path, folder: Path) -> str | None:
    """The modality by which the folder of a file is called, if it is one."""
    kind = kind_of(path.parent.name) if path.parent != folder else None
    return kind if kind in MODALITIES else None


def _name_and_kind(path: Path, folder: Path) -> tuple[str, str | None]:
    """Whose file it is, and which sequence its folder or its name says; UserError if these differ."""
    stem = volume_stem(path.name) or ""
    own, above = kind_of_file(stem), _folder_kind(path, folder)
    if own and above and own != above and own != SEGMENTATION:
        raise UserError(f"{path} is {own} by its name and {above} by its folder: rename the one that is wrong")
    return (_without_sequence(stem) if own else stem) or path.parent.name, own or above


def _without_sequence(stem: str) -> str:
    """The part of a file's name in front of its sequence: "P02" of "P02_ce_T1w"; "" if there is none."""
    starts = [match.start() for match in re.finditer(r"[A-Za-z0-9]+", stem)]
    whole = [start for start in starts if kind_of(stem[start:])]
    return stem[: min(whole, default=starts[-1])].rstrip("_-. ")
