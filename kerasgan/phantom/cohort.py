"""Simulated patients, one or a cohort on disk in BraTS layout.

A patient's anatomy, tumour and scans depend only on (seed, index, tumour, IDH status), a neonate's on (seed, index,
class), so patients can be made in any order and in parallel, and a larger cohort of the same seed has the same heads.
Same seed, same bytes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from tqdm import tqdm

from kerasgan.errors import UserError, nearest
from kerasgan.files import remaining, write_text, written_aside
from kerasgan.phantom.anatomy import Brain, draw_brain
from kerasgan.phantom.meningioma import Meningioma, draw_meningioma
from kerasgan.phantom.neonatal_signal import NEONATAL_SEQUENCES
from kerasgan.phantom.neonates import CLASSES, choose_abnormal, draw_patient, labels_of
from kerasgan.phantom.patient import Patient, Raster, patient_name, random_order, streams
from kerasgan.phantom.pituitary import PituitaryTumour, draw_pituitary_tumour
from kerasgan.phantom.shapes import random_field
from kerasgan.phantom.signal import SEQUENCES, acquire, draw_scan
from kerasgan.phantom.tumour import HGG_SHARE, Glioma, draw_glioma, profile
from kerasgan.settings import read_json
from kerasgan.threads import thread_pool

SIMULATOR = 2  # raise it when the same seed gives other bytes
HEADS = ("adult", "neonate")
TUMOURS = ("glioma", "meningioma", "pituitary")
SUFFIXES: Mapping[str, str] = {"t1": "t1", "t1e": "t1ce", "t2": "t2", "flair": "flair"}
COMPLETE, PARTIAL, LABELS = "phantom.json", "phantom.partial.json", "labels.csv"


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
    anatomy_seed, _, tumour_seed, scan_seed = streams(seed, index)
    labels = _labels(index, seed, tumour, idh_mutant)
    brain = draw_brain(np.random.default_rng(anatomy_seed))
    lesion = _draw_lesion(np.random.default_rng(tumour_seed), labels, strength, brain)
    rng = np.random.default_rng(scan_seed)

    raster = Raster.of(brain, partial(lesion.outline, brain=brain), grid)
    points, voxel = raster.points, raster.voxel
    healthy = brain.tissues(lesion.displace(points, brain), voxel)
    fractions, lesion_labels = lesion.invade(points, healthy, voxel, brain)
    water = random_field(rng, 12, 0.5)(points)
    images = {
        name: raster.place(acquire(sequence, draw_scan(rng), fractions, water, points, raster.region, voxel, rng))
        for name, sequence in SEQUENCES.items()
    }
    return Patient(images, raster.place(lesion_labels), raster.affine, labels)


def _draw_lesion(
    rng: np.random.Generator, labels: Mapping[str, str], strength: float, brain: Brain
) -> Glioma | Meningioma | PituitaryTumour:
    if labels["tumour"] == "meningioma":
        return draw_meningioma(rng, brain)
    if labels["tumour"] == "pituitary":
        return draw_pituitary_tumour(rng, brain)
    return draw_glioma(rng, profile(labels["idh"], labels["grade"], strength), brain)


def simulate_neonate(
    index: int, seed: int, grid: int = 160, *, abnormal: bool = False, strength: float = 1.0
) -> Patient:
    """Simulate patient `index` (from 0) of the neonatal cohort `seed`, who has t1 and t2 and no tumour.

    `grid` x `grid` x round(grid 120/160) voxels cover a field of view of 160 x 160 x 120 mm. `strength` (0 to 1) is how
    far apart the means of abnormal and normal neonates lie; at 0 the class makes no difference.

    Raises:
        UserError: a setting is out of its range.
    """
    _check_range("index", index, 0)
    _check_common(seed, grid, strength)
    return draw_patient(index, seed, grid, abnormal, strength)


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
    head: str = "adult",
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Simulate a cohort into the folder `out` and return it.

    Writes out/Phantom_0001/Phantom_0001_{t1,t1ce,t2,flair,seg}.nii.gz and so on, labels.csv (patient, idh, grade,
    tumour) and, last, phantom.json with the settings. The `tumours`, of TUMOURS, are dealt equally, in whatever order
    they come. Of the n patients with a glioma, round(idh_fraction * n) are mutant; `missing` leaves out a modality of
    round(fraction * patients) patients, never two of the same patient. `grid` and `strength` as for `simulate_patient`.
    With the `head` "neonate" patients are as of `simulate_neonate`, half of them abnormal: t1 and t2, no segmentation,
    labels.csv (patient, class); `idh_fraction` is not used, and `tumours` must be left out.
    Files are written aside and renamed, and a run that was interrupted goes on where it stopped. `workers`: threads, by
    default one per usable CPU.

    Raises:
        UserError: a setting is out of its range, a tumour is unknown or named twice or a neonate's, or the folder holds
            something else or a cohort of other settings.
    """
    _check_head(head, tumours)
    settings = {"simulator": SIMULATOR, "patients": patients, "seed": seed, "grid": grid}
    common = {"missing": dict(missing or {}), "strength": strength}
    if head == "neonate":
        settings |= {"head": head} | common
    else:
        settings |= {"idh_fraction": idh_fraction} | common | {"tumours": [name for name in TUMOURS if name in tumours]}
    _check_settings(settings)
    if workers is not None:
        _check_range("workers", workers, 1)
    out = Path(out)
    _claim_folder(out, settings)
    labels = choose_labels(patients, seed, idh_fraction, tumours, head)
    _write_cohort(out, settings, labels, choose_missing(patients, seed, settings["missing"]), workers, quiet)
    return out


def choose_labels(
    patients: int, seed: int, idh_fraction: float, tumours: Sequence[str] = ("glioma",), head: str = "adult"
) -> list[dict[str, str]]:
    """The labels of each patient of a cohort, as `Patient` has them; UserError for a tumour unknown or named twice."""
    _check_head(head, tumours)
    if head == "neonate":
        return [labels_of(i, bool(abnormal)) for i, abnormal in enumerate(choose_abnormal(patients, seed))]
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
    order = random_order(patients, seed, 1)
    if eligible is not None:
        order = order[eligible[order]]
    chosen = np.zeros(patients, bool)
    chosen[order[: round(fraction * len(order))]] = True
    return chosen


def choose_missing(patients: int, seed: int, fractions: Mapping[str, float]) -> dict[int, str]:
    """The modality that each patient without all of them lacks, by patient."""
    counts = [(name, round(fractions.get(name, 0.0) * patients)) for name in SUFFIXES]
    names = [name for name, count in counts for _ in range(count)]
    return dict(zip(random_order(patients, seed, 2)[: len(names)].tolist(), names, strict=True))


def _labels(index: int, seed: int, tumour: str, idh_mutant: bool) -> dict[str, str]:
    if tumour != "glioma":
        return {"patient": patient_name(index), "idh": "", "grade": "", "tumour": tumour}
    idh = "mutant" if idh_mutant else "wildtype"
    high = np.random.default_rng(streams(seed, index)[1]).random() < HGG_SHARE[idh]
    return {"patient": patient_name(index), "idh": idh, "grade": "HGG" if high else "LGG", "tumour": tumour}


# ---- files ----------------------------------------------------------------------------------------------------------


def _modalities(head: str) -> tuple[str, ...]:
    """Of an adult's or a neonate's images."""
    return tuple(NEONATAL_SEQUENCES if head == "neonate" else SUFFIXES)


def _files(out: Path, index: int, head: str, absent: str | None) -> dict[str, Path]:
    """A patient's files by modality, without the one that is `absent`, and an adult's "segmentation"."""
    name = patient_name(index)
    kinds = {modality: SUFFIXES[modality] for modality in _modalities(head) if modality != absent}
    if head == "adult":
        kinds["segmentation"] = "seg"
    return {kind: out / name / f"{name}_{suffix}.nii.gz" for kind, suffix in kinds.items()}


def _write_cohort(
    out: Path,
    settings: Mapping[str, Any],
    labels: Sequence[Mapping[str, str]],
    absent: Mapping[int, str],
    workers: int | None,
    quiet: bool,
) -> None:
    """Simulate the patients whose files are not all there; then labels.csv and, last, phantom.json."""
    head = settings.get("head", "adult")
    files = [_files(out, i, head, absent.get(i)).values() for i in range(len(labels))]
    todo = [i for i, own in enumerate(files) if not all(path.exists() for path in own)]
    if not todo and (out / COMPLETE).exists():
        return
    write_text(out / PARTIAL, json.dumps(settings, indent=2))
    (out / COMPLETE).unlink(missing_ok=True)
    with thread_pool(workers) as pool:
        done = pool.map(partial(_write_patient, out, settings, labels, absent), todo)
        for _ in tqdm(done, total=len(todo), desc="simulating", unit="patient", disable=quiet):
            pass
    table = "\n".join(",".join(row) for row in [labels[0], *(row.values() for row in labels)]) + "\n"
    write_text(out / LABELS, table)
    os.replace(out / PARTIAL, out / COMPLETE)


def _write_patient(
    out: Path, settings: Mapping[str, Any], labels: Sequence[Mapping[str, str]], absent: Mapping[int, str], index: int
) -> None:
    own, head = labels[index], settings.get("head", "adult")
    seed, grid, strength = (settings[name] for name in ("seed", "grid", "strength"))
    if head == "neonate":
        patient = simulate_neonate(index, seed, grid, abnormal=own["class"] == CLASSES[0], strength=strength)
    else:
        patient = simulate_patient(
            index, seed, grid, idh_mutant=own["idh"] == "mutant", strength=strength, tumour=own["tumour"]
        )
    arrays = {**patient.images, "segmentation": patient.segmentation}
    for kind, path in _files(out, index, head, absent.get(index)).items():
        array = arrays[kind]
        path.parent.mkdir(exist_ok=True)
        image = nib.Nifti1Image(array, patient.affine)
        image.header.set_xyzt_units("mm", "sec")
        image.set_sform(patient.affine, code="scanner")
        image.set_qform(patient.affine, code="scanner")
        with written_aside(path) as aside:
            aside.write_bytes(igzip.compress(image.to_bytes(), 2, mtime=0))


def _claim_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder, or accept one that holds a cohort of the same settings, finished or not."""
    out.mkdir(parents=True, exist_ok=True)
    for state in (out / COMPLETE, out / PARTIAL):
        if state.exists():
            found = {"head": "adult"} | read_json(state, f"delete {out} and simulate it again")
            for key, wanted in ({"head": "adult"} | settings).items():
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


def _check_head(head: str, tumours: Sequence[str]) -> None:
    if head not in HEADS:
        raise UserError(f"unknown head {head!r}; {nearest(head, HEADS)}")
    _check_tumours(tumours)
    if head == "neonate" and tuple(tumours) != ("glioma",):
        raise UserError(f"neonates have no tumour, got {', '.join(tumours)}; leave the tumours out, or simulate adults")


def _check_tumours(tumours: Sequence[str]) -> None:
    for name in tumours:
        if name not in TUMOURS:
            raise UserError(f"tumours names the unknown tumour {name!r}; {nearest(name, TUMOURS)}")
    if not tumours or len(set(tumours)) < len(tumours):
        named = ", ".join(tumours) or "none"
        raise UserError(f"tumours must name at least one of {', '.join(TUMOURS)}, each once, got {named}")


def _check_settings(settings: Mapping[str, Any]) -> None:
    _check_range("patients", settings["patients"], 1)
    _check_common(settings["seed"], settings["grid"], settings["strength"])
    if "idh_fraction" in settings:
        _check_range("idh_fraction", settings["idh_fraction"], 0, 1)
    missing, there = settings["missing"], _modalities(settings.get("head", "adult"))
    for name, fraction in missing.items():
        if name not in there:
            raise UserError(f"missing names the unknown modality {name!r}; {nearest(name, there)}")
        _check_range(f"the fraction of missing {name}", fraction, 0, 1)
    files = sum(round(fraction * settings["patients"]) for fraction in missing.values())
    if sum(missing.values()) > 1 or files > settings["patients"]:
        raise UserError(
            f"missing leaves out {files} files of {settings['patients']} patients, but a patient lacks at most one "
            "modality; lower the fractions so that they sum to at most 1"
        )
