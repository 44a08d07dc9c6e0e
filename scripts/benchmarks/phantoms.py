"""Simulated patients on disk, which benchmarks read."""

from pathlib import Path

from kerasgan.data.cohort import Cohort
from kerasgan.data.indexers import index
from kerasgan.phantom import simulate_cohort


def cohort(folder: Path, patients: int, grid: int) -> Cohort:
    """`patients` simulated with `grid` x `grid` voxels a slice; 240 is the size of a BraTS volume, 240 x 240 x 155."""
    return index(simulate_cohort(folder, patients=patients, seed=1, grid=grid, workers=1, quiet=True), "phantom")
