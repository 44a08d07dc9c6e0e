"""Cohorts from folders as data sets are distributed: an explicit dict of layouts, one function each.

Labels of segmentations mean different things: BraTS to 2021 has 1 necrosis or non-enhancing tumour, 2 oedema, 4
enhancing tumour (3 from 2023 on), the Decathlon's Task01 1 oedema, 2 non-enhancing, 3 enhancing tumour. What all
share, and what this package uses, is tumour = label > 0.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from glob import escape
from pathlib import Path

import numpy as np

from kerasgan.data import images, matlab, neonatal, rembrandt
from kerasgan.data.cohort import Cohort, Visit, merge_labels, write_cohort
from kerasgan.data.layouts import EXPECTED, GRADES, Key, case_folder, cohort_of, files_below, visits_of, volumes_below
from kerasgan.data.modalities import MODALITIES, SEGMENTATION, canonical, kind_of_file
from kerasgan.data.volumes import volume_stem
from kerasgan.errors import UserError, nearest
from kerasgan.settings import read_json

# Names that carry patient and visit: BraTS 2023 and later, and the longitudinal cases of BraTS 2014 and 2015. Every
# other folder is one patient.
_VISIT_NAMES = (
    r"(?P<patient>BraTS-[A-Za-z-]+-\d+)-(?P<visit>\d{1,3})",
    r"(?P<patient>brats_(2013|tcia)_pat\d+)_(?P<visit>\d+)",
)
_TCGA = re.compile(r"(?P<patient>TCGA-\w{2}-\w{4})_(?P<visit>\d{4}\.\d{2}\.\d{2})_(?P<rest>.+)", re.IGNORECASE)
_LGG_FOLDER = re.compile(r"TCGA_(?P<site>\w{2})_(?P<id>\w{4})_(?P<date>\d{8})")
_FIGSHARE = re.compile(r"(?P<number>\d+)\.mat", re.IGNORECASE)
# By which class folders are told from those of patients, whose images must not count as a patient each.
_TUMOUR_FOLDER = re.compile(r"\D*(glioma|meningioma|pituitary|tumou?r)\D*", re.IGNORECASE)
_NO_LABELS = ("folder", "case", "tumour_slices", "pre_contrast", "post_contrast")  # of its table: ids, what is there
_LGG_CHANNELS = ("t1", "flair", "t1e")  # in the order of the colours: pre-contrast, FLAIR, post-contrast


def index(folder: str | Path, layout: str | None = None) -> Cohort:
    """The cohort of a folder of images; without `layout` it is found out. UserError if none or several fit."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    if layout is None:
        fitting = list(_fitting(folder))
        if len(fitting) != 1:
            what = f"fits several layouts ({', '.join(fitting)})" if fitting else "fits no known layout"
            raise UserError(f"{folder} {what}: pass one of {_listing()}; or write the CSV by hand")
        layout = fitting[0]
    if layout not in INDEXERS:
        raise UserError(f"unknown layout {layout!r}: {nearest(layout, INDEXERS)}")
    return INDEXERS[layout](folder.resolve())


def index_to_csv(
    folder: Path,
    out: Path,
    layout: str | None = None,
    labels: Path | None = None,
    columns: Sequence[str] = (),
    force: bool = False,
) -> Cohort:
    """Index `folder`, merge the label `columns` of the table `labels`, and write the cohort CSV `out`.

    An `out` that exists, and may have been edited by hand, is overwritten with `force` only.
    """
    if out.exists() and not force:
        raise UserError(f"{out} exists; give another --out, or --force to overwrite it")
    cohort = index(folder, layout)
    if labels:
        cohort = merge_labels(cohort, labels, columns)
    write_cohort(cohort, out)
    return cohort


def index_brats(folder: Path) -> Cohort:
    """BraTS of any year: a folder per patient, or per patient and visit, at any depth.

    Parent folders HGG and LGG (2013 to 2019) become the label `grade`. UserError without any image.
    """
    found: list[tuple[Key, str, Path]] = []
    grades: dict[Key, dict[str, str]] = {}
    for path in volumes_below(folder):
        kind = kind_of_file(volume_stem(path.name) or "")
        if kind is None:
            continue
        case = case_folder(path)
        key = _patient_and_visit(case.name)
        found.append((key, kind, path))
        grades[key] = {"grade": case.parent.name.upper()} if case.parent.name.upper() in GRADES else {}
    visits = (replace(visit, labels=grades[visit.patient, visit.visit]) for visit in visits_of(found))
    return cohort_of(visits, f"BraTS folders in {folder.name}", "brats", folder)


def index_tcga(folder: Path) -> Cohort:
    """TCGA-GBM and TCGA-LGG as released by Bakas et al. 2017 on TCIA; the scan's date is the visit.

    Where GLISTRboost's segmentation was corrected by hand, the corrected one is taken.
    """
    found: list[tuple[Key, str, Path]] = []
    corrected: set[Key] = set()
    for path, match in _tcga_files(folder):
        kind = kind_of_file(match["rest"])
        key = (match["patient"], match["visit"])
        if kind is not None:
            found.append((key, kind, path))
        if _is_corrected(path):
            corrected.add(key)
    chosen = [
        (key, kind, path)
        for key, kind, path in found
        if kind != SEGMENTATION or key not in corrected or _is_corrected(path)
    ]
    return cohort_of(visits_of(chosen), f"TCGA images in {folder.name}", "tcga", folder)


def index_msd(folder: Path) -> Cohort:
    """Task01 of the Medical Segmentation Decathlon: the training images, one 4-D file per patient.

    The order of channels is read from dataset.json (FLAIR, T1w, t1gd, T2w as distributed) and never assumed.
    """
    channels = _msd_channels(folder / "dataset.json")
    visits = []
    for path in volumes_below(folder / "imagesTr"):
        label = folder / "labelsTr" / path.name
        images = {modality: f"{path}#{channel}" for modality, channel in channels.items()}
        patient = volume_stem(path.name) or ""
        visits.append(Visit(patient, images=images, segmentation=str(label) if label.is_file() else None))
    return cohort_of(visits, f"Medical Segmentation Decathlon in {folder.name}", "msd", folder)


def index_phantom(folder: Path) -> Cohort:
    """A simulated cohort: BraTS folders, the labels of labels.csv, and its settings in phantom.json."""
    settings = read_json(folder / "phantom.json", "make the phantom cohort again")
    missing = [key for key in ("seed", "grid", "patients") if key not in settings]
    if missing:
        raise UserError(f"{folder / 'phantom.json'} lacks {', '.join(missing)}: make the phantom cohort again")
    neonates = settings.get("head") == "neonate"
    # Cohorts without the setting `tumours` are older and have gliomas only.
    adult = ("idh", "grade", "tumour") if "tumours" in settings else ("idh", "grade")
    cohort = merge_labels(index_brats(folder), folder / "labels.csv", ("class",) if neonates else adult)
    heads = "neonatal heads, " if neonates else ""
    origin = "simulated phantom cohort ({heads}seed {seed}, grid {grid}, {patients} patients)"
    return replace(cohort, origin=origin.format(heads=heads, **settings))


def index_lgg_slices(folder: Path) -> Cohort:
    """TCGA-LGG as 2-D images (Buda et al. 2019, 10.1016/j.compbiomed.2019.05.002): axial slices, a mask each.

    Channels are T1, FLAIR and T1e. Where a sequence was not acquired, its channel repeats FLAIR: it is left out. The
    columns of a labels.csv beside the folders, with a column `folder`, become labels.
    """
    labels = _labels_by_folder(folder / "labels.csv")
    visits = []
    for path in sorted(path for path in folder.iterdir() if _LGG_FOLDER.fullmatch(path.name)):
        match, stem = _LGG_FOLDER.fullmatch(path.name), path / path.name
        pattern, mask = f"{stem}_*[0-9].tif", f"{stem}_*_mask.tif"
        named, masked = ({file.name for file in images.files_of(files)} for files in (pattern, mask))
        if alone := sorted({name.replace(".tif", "_mask.tif") for name in named} ^ masked):
            raise UserError(f"{path / alone[0]} or the image that it belongs to is missing: copy the folder again")
        voxels = images.read_stack(pattern)
        if voxels.ndim != 4 or voxels.shape[3] != len(_LGG_CHANNELS):
            raise UserError(f"{path}: expected images of {len(_LGG_CHANNELS)} channels ({', '.join(_LGG_CHANNELS)})")
        flair = _LGG_CHANNELS.index("flair")
        there = {
            name: f"{pattern}#{channel}"
            for channel, name in enumerate(_LGG_CHANNELS)
            if channel == flair or not np.array_equal(voxels[..., channel], voxels[..., flair])
        }
        patient = "-".join(("TCGA", match["site"], match["id"]))
        ordered = {name: there[name] for name in MODALITIES if name in there}
        visits.append(Visit(patient, match["date"], ordered, mask, labels.get(path.name, {})))
    return cohort_of(visits, f"TCGA-LGG, 2-D axial slices in {folder.name}", "lgg_slices", folder)


def index_figshare(folder: Path) -> Cohort:
    """The brain tumour set of Cheng et al. (figshare, 10.6084/m9.figshare.1512427), 3064 slices of 233 patients.

    Each slice is a visit, named by its file's number, of the patient whose id it holds, with the labels `tumour` and,
    if there is a cvind.mat, `fold`. The files do not say whether a slice is axial, coronal or sagittal (the set has
    all three): all count as axial.
    """
    numbered: dict[int, Path] = {}
    for path in files_below(folder):
        if match := _FIGSHARE.fullmatch(path.name):
            other = numbered.setdefault(int(match["number"]), path)
            if other != path:
                raise UserError(f"two files of one number, {other} and {path}: expected one each, move one away")
    folds = next((matlab.read_folds(path) for path in files_below(folder) if path.name.lower() == "cvind.mat"), None)
    visits = [_figshare_visit(number, path, folds) for number, path in sorted(numbered.items())]
    return cohort_of(visits, f"Brain tumour set of Cheng et al. in {folder.name}", "figshare", folder)


def _figshare_visit(number: int, path: Path, folds: Mapping[int, str] | None) -> Visit:
    patient, tumour = matlab.read_patient(path)
    labels = {"tumour": tumour}
    if folds is not None:
        if number not in folds:
            raise UserError(
                f"{path} has no fold in cvind.mat, which has {len(folds)}: move cvind.mat away, or the file"
            )
        labels["fold"] = folds[number]
    try:
        return Visit(patient, str(number), {"t1e": f"{path}#{matlab.IMAGE}"}, f"{path}#{matlab.MASK}", labels)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def index_class_folders(folder: Path) -> Cohort:
    """A folder per class with an image per slice, as post-contrast T1: the folder's name becomes the label `tumour`.

    Such sets have lost their patients' ids, so each image counts as a patient: slices of one head may end up on both
    sides of a split, which the origin says. UserError for images of several sizes, whose scales would differ.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*/*")):
        if images.is_image(path.name) and not path.name.startswith("."):
            other = files.setdefault(f"{path.parent.name}-{path.stem}", path)
            if other != path:
                raise UserError(f"two images of one name, {other} and {path}: rename one, or leave it out")
    _check_sizes(list(files.values()))
    visits = [
        Visit(name, "", {"t1e": str(path.parent / escape(path.name))}, labels={"tumour": path.parent.name})
        for name, path in files.items()
    ]
    origin = f"2-D images by class in {folder.name} (no patient ids: each image counts as a patient)"
    return cohort_of(visits, origin, "class_folders", folder)


def _check_sizes(paths: Sequence[Path]) -> None:
    sizes = [images.grey_size(path) for path in paths]
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise UserError(
                f"{path} is {size[0]} x {size[1]}, {paths[0]} is {sizes[0][0]} x {sizes[0][1]}: expected images of one "
                "size and scale, resize it or leave it out"
            )


def _labels_by_folder(table: Path) -> dict[str, dict[str, str]]:
    """The rows of a labels.csv by their folder; none if there is no such file."""
    if not table.is_file():
        return {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} is not readable as CSV in UTF-8 ({error}): save it so") from None
    if rows and "folder" not in rows[0]:
        raise UserError(f"{table} has no column 'folder', which says whose labels a row holds: add it")
    return {row["folder"]: {name: row[name] for name in row if row[name] and name not in _NO_LABELS} for row in rows}


INDEXERS: dict[str, Callable[[Path], Cohort]] = {
    "brats": index_brats,
    "msd": index_msd,
    "tcga": index_tcga,
    "rembrandt": rembrandt.index_rembrandt,
    "neonatal": neonatal.index_neonatal,
    "lgg_slices": index_lgg_slices,
    "figshare": index_figshare,
    "class_folders": index_class_folders,
    "phantom": index_phantom,
}


# ---- which layout ---------------------------------------------------------------------------------------------------


def _fitting(folder: Path) -> Iterator[str]:
    """The layouts that a folder shows the marks of."""
    if (folder / "phantom.json").is_file():
        yield "phantom"
        return
    if (folder / "imagesTr").is_dir():
        yield "msd"
        return
    if any(_LGG_FOLDER.fullmatch(path.name) and any(path.glob("*_mask.tif")) for path in folder.iterdir()):
        yield "lgg_slices"
        return
    paths = list(files_below(folder))
    stems = {path: stem for path in paths if (stem := volume_stem(path.name)) is not None}
    others = [path for path, stem in stems.items() if not _TCGA.fullmatch(stem)]
    if len(others) < len(stems):
        yield "tcga"
    if any(map(rembrandt.is_of_a_patient, others)):
        yield "rembrandt"
    elif neonatal.fits(folder, others):
        yield "neonatal"
    elif any(kind_of_file(stems[path]) for path in others):
        yield "brats"
    numbered = any(_FIGSHARE.fullmatch(path.name) for path in paths)
    if numbered:
        yield "figshare"
    if not stems and not numbered and any(map(_is_class_folder, folder.iterdir())):
        yield "class_folders"


def _is_class_folder(path: Path) -> bool:
    named = _TUMOUR_FOLDER.fullmatch(path.name) and path.is_dir()
    return bool(named) and any(images.is_image(image.name) for image in path.iterdir())


def _listing() -> str:
    return "; ".join(f"{name}: {expected}" for name, expected in EXPECTED.items())


# ---- files ----------------------------------------------------------------------------------------------------------


def _patient_and_visit(name: str) -> Key:
    match = next((match for pattern in _VISIT_NAMES if (match := re.fullmatch(pattern, name))), None)
    return (match["patient"], match["visit"]) if match else (name, "")


def _tcga_files(folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in volumes_below(folder):
        if match := _TCGA.fullmatch(volume_stem(path.name) or ""):
            yield path, match


def _is_corrected(path: Path) -> bool:
    return "manuallycorrected" in path.name.lower()


def _msd_channels(path: Path) -> dict[str, int]:
    """Modality to channel, in the order of MODALITIES."""
    settings = read_json(path, "it says what the images are, copy it from the data set")
    names = settings.get("modality", settings.get("channel_names"))
    if not isinstance(names, dict) or not all(str(number).isdecimal() for number in names):
        raise UserError(
            f"{path} does not say which channel is which modality: expected modality = {{'0': 'FLAIR', ...}}"
        )
    try:
        channels = {canonical(str(name)): int(number) for number, name in names.items()}
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if len(channels) < len(names):
        raise UserError(f"{path} names one modality twice: {', '.join(map(str, names.values()))}")
    return {name: channels[name] for name in MODALITIES if name in channels}
