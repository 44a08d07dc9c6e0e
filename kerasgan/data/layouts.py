"""What the layouts of data sets have in common: what each expects, and from files found to a cohort."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kerasgan.data.cohort import Cohort, Visit
from kerasgan.data.modalities import MODALITIES, SEGMENTATION
from kerasgan.data.volumes import volume_stem
from kerasgan.errors import UserError

EXPECTED = {
    "brats": "a folder per patient with files such as NAME_t1ce.nii.gz or NAME-t1c.nii.gz, as in BraTS 2013 to 2024",
    "msd": "dataset.json, 4-D files in imagesTr/, labelsTr/, as in Task01 of the Medical Segmentation Decathlon",
    "tcga": "files such as TCGA-02-0003_1997.06.08_t1Gd.nii.gz, as in the TCIA release of Bakas et al. 2017",
    "rembrandt": "a folder per patient (HF1442, 900-00-5316, or with a date behind it) with NIfTI files by sequence, "
    "and a mask of the tumour (*_mask, *_seg, *tumor*, *_GlistrBoost_out), as in the TCIA release of REMBRANDT",
    "neonatal": "whole heads without tumours: a folder per sequence (T1/NAME.nii.gz, T2/NAME.nii.gz, as the ALBERTs), "
    "or NAME_T1.nii.gz, NAME_T2.nii.gz side by side, also in the folders of BIDS",
    "lgg_slices": "a folder per patient and date with 2-D images (TCGA_CS_4941_19960909_11.tif: T1, FLAIR, T1e) and "
    "masks (..._11_mask.tif), as in the LGG Segmentation set of Buda et al. 2019",
    "figshare": "MATLAB v7.3 files 1.mat, 2.mat, ... with a struct cjdata, as in the brain tumour set of Cheng et al.",
    "class_folders": "a folder per class with grey PNG, TIFF or JPEG images of one size, such as glioma/1854.jpg",
    "phantom": "phantom.json, labels.csv and a folder per patient, as `kerasgan phantom` writes them",
}

GRADES = ("HGG", "LGG")

Key = tuple[str, str]  # patient, visit


def files_below(folder: Path) -> Iterator[Path]:
    """Files below a folder in a fixed order, without hidden ones (macOS archives hold ``._NAME.nii.gz``)."""
    for root, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root) / name


def volumes_below(folder: Path) -> Iterator[Path]:
    """Volume files below a folder in a fixed order."""
    return (path for path in files_below(folder) if volume_stem(path.name) is not None)


def case_folder(path: Path) -> Path:
    """The patient's folder of a file, passing over one that merely wraps it (``VSD.Brain...``, ``a_t1.nii/``)."""
    folder = path.parent
    wraps = folder.name.startswith("VSD.") or volume_stem(folder.name) is not None
    return folder.parent if wraps else folder


def visits_of(found: Iterable[tuple[Key, str, Path]]) -> Iterator[Visit]:
    """One Visit per patient and visit of the (key, kind, path) found; UserError for two files of one kind."""
    files: dict[Key, dict[str, Path]] = {}
    for key, kind, path in found:
        other = files.setdefault(key, {}).setdefault(kind, path)
        if other != path:
            raise UserError(
                f"two {kind} files for one visit, {other} and {path}: expected one folder per patient and visit with "
                "one file per modality, move one away"
            )
    for (patient, visit), paths in sorted(files.items()):
        images = {name: str(paths[name]) for name in MODALITIES if name in paths}
        yield Visit(patient, visit, images, str(paths[SEGMENTATION]) if SEGMENTATION in paths else None)


def cohort_of(visits: Iterable[Visit], origin: str, layout: str, folder: Path) -> Cohort:
    """The cohort of some visits; UserError if there are none."""
    cohort = Cohort(tuple(visits), origin)
    if not cohort.visits:
        raise UserError(f"{folder} has no images of the layout {layout!r}: expected {EXPECTED[layout]}")
    return cohort
