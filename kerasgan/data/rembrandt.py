"""REMBRANDT: gliomas of 900-00-5316 and the like (NIH) and of HF1442 and the like (Henry Ford Hospital).

The release with expert segmentations (Sayah et al. 2022, 10.1038/s41597-022-01415-1) has a folder HF1442_YYYY.MM.DD per
patient with files such as HF1442_YYYY.MM.DD_flair_LPS_rSRI.nii.gz and HF1442_YYYY.MM.DD_GlistrBoost_out.nii.gz. Studies
that need FLAIR and a binary mask alone sort patients by grade, HGG/HF1442/HF1442_flair.nii.gz, and name masks freely.

What differs from BraTS: the date in a folder's name is the visit, the words of the processing after the sequence do not
count, a mask may be called a mask, and grade folders may lie at any depth.
"""

import re
from dataclasses import replace
from pathlib import Path

from kerasgan.data.cohort import Cohort
from kerasgan.data.layouts import GRADES, Key, case_folder, cohort_of, visits_of, volumes_below
from kerasgan.data.modalities import SEGMENTATION, kind_of_file
from kerasgan.data.volumes import volume_stem

_ID = r"(HF\d{4}|900-00-\d{4})"
_DATE = r"\d{4}\.\d{2}\.\d{2}"
_NAME = re.compile(rf"{_ID}(?![0-9])", re.IGNORECASE)
_CASE = re.compile(rf"(?P<patient>.+?)(_(?P<visit>{_DATE}))?", re.IGNORECASE)
_FILE = re.compile(rf"(?P<case>{_ID}(_{_DATE})?)([_-].*|)", re.IGNORECASE)
# Oriented (LPS), registered to the SRI24 atlas, skull-stripped: what the files of the release have been through.
_PROCESSING = re.compile(r"([_-](LPS|rSRI|SSFinal|out))+$", re.IGNORECASE)
_TUMOUR, _MASK, _BRAIN = (re.compile(words, re.IGNORECASE) for words in ("tumou?r|lesion|seg", "mask", "brain|head"))


def index_rembrandt(folder: Path) -> Cohort:
    """REMBRANDT's folders, a patient each or a patient and date (the visit), at any depth.

    The nearest folder HGG or LGG above becomes the label `grade`. UserError without any image.
    """
    found: list[tuple[Key, str, Path]] = []
    grades: dict[Key, dict[str, str]] = {}
    for path in volumes_below(folder):
        kind = _kind(path)
        if kind is not None:
            key = _key(path)
            found.append((key, kind, path))
            grades[key] = _grade(path, folder)
    visits = (replace(visit, labels=grades[visit.patient, visit.visit]) for visit in visits_of(found))
    return cohort_of(visits, f"REMBRANDT images in {folder.name}", "rembrandt", folder)


def is_of_a_patient(path: Path) -> bool:
    """Whether a file, or the folder that it lies in, begins with the id of a patient of REMBRANDT."""
    return any(_NAME.match(name) for name in (path.name, case_folder(path).name))


def _kind(path: Path) -> str | None:
    """The modality that a file's name says, or "segmentation", or None; the mask of the brain is none of the tumour."""
    stem = _PROCESSING.sub("", volume_stem(path.name) or "")
    if kind := kind_of_file(stem):
        return kind
    mask = _TUMOUR.search(stem) or (_MASK.search(stem) and not _BRAIN.search(stem))
    return SEGMENTATION if mask else None


def _key(path: Path) -> Key:
    """Patient and visit: of the file's name where it has them, else of the folder's."""
    own = _FILE.fullmatch(volume_stem(path.name) or "")
    folder = case_folder(path).name
    match = _CASE.fullmatch(own["case"] if own and not _NAME.match(folder) else folder)
    return (match["patient"], match["visit"] or "") if match else (folder, "")


def _grade(path: Path, folder: Path) -> dict[str, str]:
    above = (folder.name, *path.relative_to(folder).parts[:-1])
    grade = next((name.upper() for name in reversed(above) if name.upper() in GRADES), None)
    return {"grade": grade} if grade else {}
