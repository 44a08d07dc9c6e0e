"""Simulated neonates: T1- and T2-weighted images of abnormal and normal ones, without tumours."""

from dataclasses import replace

import numpy as np

from kerasgan.phantom.neonatal_anatomy import draw_neonate
from kerasgan.phantom.neonatal_signal import NEONATAL_SEQUENCES, NEONATAL_TISSUES
from kerasgan.phantom.patient import NEONATE, Patient, Raster, patient_name, random_order, streams
from kerasgan.phantom.shapes import random_field
from kerasgan.phantom.signal import acquire, draw_scan

CLASSES = ("abnormal", "normal")
FINER = 0.7  # blur and noise of a neonate's scan relative to an adult's


def draw_patient(index: int, seed: int, grid: int, abnormal: bool, strength: float) -> Patient:
    """A neonate by settings within their ranges: see `cohort.simulate_neonate`."""
    anatomy_seed, *_, scan_seed = streams(seed, index)
    brain = draw_neonate(np.random.default_rng(anatomy_seed), abnormal, strength)
    rng = np.random.default_rng(scan_seed)

    raster = Raster.of(brain, brain.outline, grid, NEONATE)
    points, voxel = raster.points, raster.voxel
    fractions = brain.tissues(points, voxel)
    water = random_field(rng, 18, 0.5)(points)
    images = {}
    for name, sequence in NEONATAL_SEQUENCES.items():
        scan = draw_scan(rng)
        scan = replace(scan, noise=FINER * scan.noise, blur=tuple(FINER * blur for blur in scan.blur))
        values = acquire(sequence, scan, fractions, water, points, raster.region, voxel, rng, NEONATAL_TISSUES)
        images[name] = raster.place(values)
    return Patient(images, None, raster.affine, labels_of(index, abnormal))


def labels_of(index: int, abnormal: bool) -> dict[str, str]:
    """The labels of patient `index`."""
    return {"patient": patient_name(index), "class": CLASSES[0] if abnormal else CLASSES[1]}


def choose_abnormal(patients: int, seed: int) -> np.ndarray:
    """Which patients (n,) bool are abnormal: half of them, one more where their number is odd."""
    chosen = np.zeros(patients, bool)
    chosen[random_order(patients, seed, 4)[: -(-patients // 2)]] = True
    return chosen
