"""Simulated patients, one or a cohort on disk in BraTS layout.

A patient's anatomy, tumour and scans depend only on (seed, index, tumour, IDH status), so patients can be made in any
order and in parallel, and a larger cohort of the same seed has the same heads. Same seed, same bytes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip
from tqdm import tqdm

from kerasgan.errors import UserError, nearest
from kerasgan.files import remaining, write_text, written_aside
from kerasgan.phantom.anatomy import Brain, draw_brain
from kerasgan.phantom.meningioma import Meningioma, draw_meningioma
from kerasgan.phantom.pituitary import PituitaryTumour, draw_pituitary_tumour
from kerasgan.phantom.shapes import random_field
from kerasgan.phantom.signal import SEQUENCES, acquire, draw_scan
from kerasgan.phantom.tumour import HGG_SHARE, Glioma, draw_glioma, profile
from kerasgan.threads import thread_pool

SIMULATOR = 2  # raise it when the same seed gives other bytes
TUMOURS = ("glioma", "meningioma", "pituitary")
SUFFIXES: Mapping[str, str] = {"t1": "t1", "t1e": "t1ce", "t2": "t2", "flair": "flair"}
COMPLETE, PARTIAL, LABELS = "phantom.json", "phantom.partial.json", "labels.csv"

FIELD_OF_VIEW = (240, 240, 155)  # mm
# The anterior commissure in BraTS space: mm from the centre of the voxel (0, 0, 0) of a 1 mm image, along its axes.
COMMISSURE = (119.5, 110.0, 67.0)


@dataclass(frozen=True)
class Patient:
    """One simulated patient.

    `images`: "t1", "t1e", "t2", "flair", each (i, j, k) int16 in scanner units, 0 outside the brain. `segmentation`:
    (i, j, k) uint8 with the BraTS labels 1 necrotic and non-enhancing core, 2 oedema, 4 enhancing tumour. `affine`
    (4, 4) maps voxels to mm; axes run left, posterior, superior. `labels`: "patient", "idh" (mutant or wildtype) and
    "grade" (HGG or LGG), both "" unless the tumour is a glioma, "tumour" (one of TUMOURS).
    """

    images: Mapping[str, np.ndarray]
    segmentation: np.ndarray
    affine: np.ndarray
    labels: Mapping[str, str]


def simulate_patient(
    index: int, seed: int, grid: int = 240, *, idh_mutant: bool = False, strength: float = 1.0, tumour: str = "glioma"
) -> Patient:
    """Simulate patient `index` (from 0) of the cohort `seed` with one of the TUMOURS.

    `grid` x `grid` x round(grid 155/240) voxels cover the field of view of BraTS, which has 240 at 1 mm. `strength` (0
    to 1) is how much the IDH status and the grade show in a glioma; other tumours have neither.

    Raises:
        UserError: a setting is out of its range, the tumour is unknown, or an IDH mutant tumour is no glioma.
    """
    _check_range("index", index, 0)
    _check_common(seed, grid, strength)
    _check_tumours((tumour,))
    if idh_mutant and tumour != "glioma":
        raise UserError(f"only a glioma is IDH mutant, got the tumour {tumour!r}; leave idh_mutant out")
    anatomy_seed, _, tumour_seed, scan_seed = _streams(seed, index)
    labels = _labels(index, seed, tumour, idh_mutant)
    brain = draw_brain(np.random.default_rng(anatomy_seed))
    lesion = _draw_lesion(np.random.default_rng(tumour_seed), labels, strength, brain)
    rng = np.random.default_rng(scan_seed)

    shape, voxel, affine = geometry(grid)
    box, points = _head_box(brain, shape, voxel)
    outline = lesion.outline(points.reshape(3, -1), brain).reshape(points.shape[1:])
    region = outline < 2 * voxel  # with a border, so that blurring the brain's surface mixes in CSF
    inside, points = outline[region] < 0, points[:, region]
    healthy = brain.tissues(lesion.displace(points, brain), voxel)
    fractions, lesion_labels = lesion.invade(points, healthy, voxel, brain)
    water = random_field(rng, 12, 0.5)(points)

    def place(values: np.ndarray) -> np.ndarray:
        volume = np.zeros(shape, values.dtype, order="F")
        volume[box][region] = values * inside
        return volume

    images = {
        name: place(acquire(sequence, draw_scan(rng), fractions, water, points, region, voxel, rng))
        for name, sequence in SEQUENCES.items()
    }
    return Patient(images, place(lesion_labels), affine, labels)


def _draw_lesion(
    rng: np.random.Generator, labels: Mapping[str, str], strength: float, brain: Brain
) -> Glioma | Meningioma | PituitaryTumour:
    if labels["tumour"] == "meningioma":
        return draw_meningioma(rng, brain)
    if labels["tumour"] == "pituitary":
        return draw_pituitary_tumour(rng, brain)
    return draw_glioma(rng, profile(labels["idh"], labels["grade"], strength), brain)


def geometry(grid: int) -> tuple[tuple[int, int, int], float, np.ndarray]:
    """Shape, voxel width (mm) and affine (4, 4) of a grid: the field of view and the orientation of BraTS."""
    voxel = FIELD_OF_VIEW[0] / grid
    half = (voxel - 1) / 2
    affine = np.diag([-voxel, -voxel, voxel, 1.0])
    affine[:3, 3] = 0.0 - half, FIELD_OF_VIEW[1] - 1 - half, half
    return (grid, grid, round(grid * FIELD_OF_VIEW[2] / FIELD_OF_VIEW[0])), voxel, affine


def simulate_cohort(
    out: Path,
    *,
    patients: int,
    seed: int,
    grid: int = 240,
    idh_fraction: float = 0.33,
    missing: Mapping[str, float] | None = None,
    strength: float = 1.0,
    tumours: Sequence[str] = ("glioma",),
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Simulate a cohort into the folder `out` and return it.

    Writes out/Phantom_0001/Phantom_0001_{t1,t1ce,t2,flair,seg}.nii.gz and so on, labels.csv (patient, idh, grade,
    tumour) and, last, phantom.json with the settings. The `tumours`, of TUMOURS, are dealt equally, in whatever order
    they come. Of the n patients with a glioma, round(idh_fraction * n) are mutant; `missing` leaves out a modality of
    round(fraction * patients) patients, never two of the same patient. `grid` and `strength` as for `simulate_patient`.
    Files are written aside and renamed, and a run that was interrupted goes on where it stopped. `workers`: threads, by
    default one per usable CPU.

    Raises:
        UserError: a setting is out of its range, a tumour is unknown or named twice, or the folder holds something else
            or a cohort of other settings.
    """
    _check_tumours(tumours)
    settings = {
        **{"simulator": SIMULATOR, "patients": patients, "seed": seed, "grid": grid, "idh_fraction": idh_fraction},
        **{"missing": dict(missing or {}), "strength": strength},
        "tumours": [name for name in TUMOURS if name in tumours],
    }
    _check_settings(settings)
    if workers is not None:
        _check_range("workers", workers, 1)
    out = Path(out)
    _claim_folder(out, settings)
    labels = choose_labels(patients, seed, idh_fraction, tumours)
    absent = choose_missing(patients, seed, settings["missing"])
    todo = [i for i in range(patients) if not all(path.exists() for path in _files(out, i, absent.get(i)))]
    if todo or not (out / COMPLETE).exists():
        write_text(out / PARTIAL, json.dumps(settings, indent=2))
        (out / COMPLETE).unlink(missing_ok=True)
        work = partial(_write_patient, out, seed, grid, strength, labels, absent)
        with thread_pool(workers) as pool:
            done = pool.map(work, todo)
            for _ in tqdm(done, total=len(todo), desc="simulating", unit="patient", disable=quiet):
                pass
        table = "\n".join(",".join(row) for row in [labels[0], *(row.values() for row in labels)]) + "\n"
        write_text(out / LABELS, table)
        os.replace(out / PARTIAL, out / COMPLETE)
    return out


def choose_labels(
    patients: int, seed: int, idh_fraction: float, tumours: Sequence[str] = ("glioma",)
) -> list[dict[str, str]]:
    """The labels of each patient of a cohort, as `Patient` has them; UserError for a tumour unknown or named twice."""
    _check_tumours(tumours)
    dealt = choose_tumours(patients, seed, tumours)
    mutant = choose_mutants(patients, seed, idh_fraction, np.array([name == "glioma" for name in dealt]))
    return [_labels(i, seed, name, bool(mutant[i])) for i, name in enumerate(dealt)]


def choose_tumours(patients: int, seed: int, tumours: Sequence[str]) -> list[str]:
    """The tumour of each patient: round after round, every tumour once in a random order, whatever `patients` is."""
    names = [name for name in TUMOURS if name in tumours]
    rounds = range(-(-patients // len(names)))
    streams = (np.random.SeedSequence(seed, spawn_key=(3, number)) for number in rounds)
    dealt = [names[k] for stream in streams for k in np.random.default_rng(stream).permutation(len(names))]
    return dealt[:patients]


def choose_mutants(patients: int, seed: int, fraction: float, eligible: np.ndarray | None = None) -> np.ndarray:
    """Which patients (n,) bool are IDH mutant: the round(fraction * n) with the lowest of n random numbers.

    With a mask `eligible` (n,), only those patients count and can be.
    """
    order = _order(patients, seed, 1)
    if eligible is not None:
        order = order[eligible[order]]
    chosen = np.zeros(patients, bool)
    chosen[order[: round(fraction * len(order))]] = True
    return chosen


def choose_missing(patients: int, seed: int, fractions: Mapping[str, float]) -> dict[int, str]:
    """The modality that each patient without all of them lacks, by patient."""
    counts = [(name, round(fractions.get(name, 0.0) * patients)) for name in SUFFIXES]
    names = [name for name, count in counts for _ in range(count)]
    return dict(zip(_order(patients, seed, 2)[: len(names)].tolist(), names, strict=True))


# ---- random streams -------------------------------------------------------------------------------------------------


def _streams(seed: int, index: int) -> list[np.random.SeedSequence]:
    """Independent seeds of a patient's anatomy, grade, tumour and scans."""
    return np.random.SeedSequence(seed, spawn_key=(0, index)).spawn(4)


def _order(patients: int, seed: int, purpose: int) -> np.ndarray:
    """A random order of the patients; each has its own number in it, whatever the size of the cohort."""
    return np.argsort(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose,))).random(patients))


def _name(index: int) -> str:
    return f"Phantom_{index + 1:04d}"


def _labels(index: int, seed: int, tumour: str, idh_mutant: bool) -> dict[str, str]:
    if tumour != "glioma":
        return {"patient": _name(index), "idh": "", "grade": "", "tumour": tumour}
    idh = "mutant" if idh_mutant else "wildtype"
    high = np.random.default_rng(_streams(seed, index)[1]).random() < HGG_SHARE[idh]
    return {"patient": _name(index), "idh": idh, "grade": "HGG" if high else "LGG", "tumour": tumour}


# ---- voxels ---------------------------------------------------------------------------------------------------------


def _head_box(brain: Brain, shape: tuple[int, ...], voxel: float) -> tuple[tuple[slice, ...], np.ndarray]:
    """The part of the grid that holds the head, as slices, and the places (3, i, j, k) of its voxels in mm."""
    low, high = brain.extent
    slices, axes = [], []
    for size, commissure, sign, a, b in zip(shape, COMMISSURE, (-1, -1, 1), low, high, strict=True):
        place = sign * (np.arange(size) * voxel + (voxel - 1) / 2 - commissure)
        kept = np.flatnonzero((place >= a) & (place <= b))
        slices.append(slice(kept[0], kept[-1] + 1))
        axes.append(place[kept].astype(np.float32))
    return tuple(slices), np.stack(np.meshgrid(*axes, indexing="ij"))


# ---- files ----------------------------------------------------------------------------------------------------------


def _files(out: Path, index: int, absent: str | None) -> list[Path]:
    """A patient's files without the modality `absent`: images in the order of SUFFIXES, the segmentation last."""
    name = _name(index)
    kinds = [suffix for modality, suffix in SUFFIXES.items() if modality != absent]
    return [out / name / f"{name}_{kind}.nii.gz" for kind in (*kinds, "seg")]


def _write_patient(
    out: Path,
    seed: int,
    grid: int,
    strength: float,
    labels: Sequence[Mapping[str, str]],
    absent: Mapping[int, str],
    index: int,
) -> None:
    own = labels[index]
    patient = simulate_patient(
        index, seed, grid, idh_mutant=own["idh"] == "mutant", strength=strength, tumour=own["tumour"]
    )
    images = [image for modality, image in patient.images.items() if modality != absent.get(index)]
    for path, array in zip(_files(out, index, absent.get(index)), [*images, patient.segmentation], strict=True):
        path.parent.mkdir(exist_ok=True)
        image = nib.Nifti1Image(array, patient.affine)
        image.header.set_xyzt_units("mm", "sec")
        image.set_sform(patient.affine, code="scanner")
        image.set_qform(patient.affine, code="scanner")
        with written_aside(path) as aside:
            aside.write_bytes(igzip.compress(image.to_bytes(), 2, mtime=0))


def _claim_folder(out: Path, settings: Mapping[str, object]) -> None:
    """Make the folder, or accept one that holds a cohort of the same settings, finished or not."""
    out.mkdir(parents=True, exist_ok=True)
    for state in (out / COMPLETE, out / PARTIAL):
        if state.exists():
            try:
                found = json.loads(state.read_text())
            except ValueError:
                raise UserError(f"{state} is not readable as JSON; delete {out} and simulate it again") from None
            for key, wanted in settings.items():
                if found.get(key) != wanted:
                    raise UserError(
                        f"{state} is of a cohort with {key}={found.get(key)!r}, not {key}={wanted!r}; "
                        "use another folder, or delete this one"
                    )
            return
    if remaining(out):
        raise UserError(f"{out} is not empty and holds no simulated cohort ({COMPLETE}); use a new folder")


# ---- settings -------------------------------------------------------------------------------------------------------


def _check_range(name: str, value: float, low: float, high: float = np.inf) -> None:
    if not low <= value <= high:
        span = f"at least {low}" if high == np.inf else f"from {low} to {high}"
        raise UserError(f"{name} must be {span}, got {value}")


def _check_common(seed: int, grid: int, strength: float) -> None:
    _check_range("seed", seed, 0)
    _check_range("grid", grid, 32, 480)
    _check_range("strength", strength, 0, 1)


def _check_tumours(tumours: Sequence[str]) -> None:
    for name in tumours:
        if name not in TUMOURS:
            raise UserError(f"tumours names the unknown tumour {name!r}; {nearest(name, TUMOURS)}")
    if not tumours or len(set(tumours)) < len(tumours):
        named = ", ".join(tumours) or "none"
        raise UserError(f"tumours must name at least one of {', '.join(TUMOURS)}, each once, got {named}")


def _check_settings(settings: Mapping[str, object]) -> None:
    _check_range("patients", settings["patients"], 1)
    _check_common(settings["seed"], settings["grid"], settings["strength"])
    _check_range("idh_fraction", settings["idh_fraction"], 0, 1)
    missing = settings["missing"]
    for name, fraction in missing.items():
        if name not in SUFFIXES:
            raise UserError(f"missing names the unknown modality {name!r}; {nearest(name, SUFFIXES)}")
        _check_range(f"the fraction of missing {name}", fraction, 0, 1)
    files = sum(round(fraction * settings["patients"]) for fraction in missing.values())
    if sum(missing.values()) > 1 or files > settings["patients"]:
        raise UserError(
            f"missing leaves out {files} files of {settings['patients']} patients, but a patient lacks at most one "
            "modality; lower the fractions so that they sum to at most 1"
        )
