"""Table 1 of Alam et al., the printed beside ours, and what the authors name and set aside: IS, FID, SWD."""

from collections.abc import Mapping, Sequence

import numpy as np

from kerasgan.evaluation.gan_train import GanTrain, Trial
from kerasgan.papers.pggan.published import TABLE_1
from kerasgan.report.tables import Table

REAL = "Real data"
PRINTED = ("sensitivity", "specificity", "harmonic_mean")  # in Table 1
OURS = (*PRINTED, "accuracy", "auc")
SHORT = {"sensitivity": "Sen", "specificity": "Spe", "harmonic_mean": "HM", "accuracy": "accuracy", "auc": "AUC"}


def gan_train_table(result: GanTrain, notes: Sequence[str]) -> Table:
    """Table 1: who learnt from what and is tested on real images, ours with intervals."""
    by_name = {name: trials for name, trials in result.gan_train.items()} | {REAL: (result.reference,)}
    rows = [
        [name, *_cells(trials, OURS), " / ".join(f"{value:.3f}" for value in TABLE_1[name])]
        for name, trials in by_name.items()
    ]
    header = ["training data", *(SHORT[name] for name in OURS), "Alam et al.: Sen / Spe / HM"]
    return Table("table1", "Table 1: GAN-train, an SVM tested on real images", header, rows, notes)


def gan_test_table(result: GanTrain) -> Table:
    """The SVM that has learnt from real images, tested on generated ones; the paper has no such table."""
    rows = [[name, *_cells(trials, OURS)] for name, trials in result.gan_test.items()]
    note = "High: generated images show their class, however little they vary."
    header = ["tested on", *(SHORT[name] for name in OURS)]
    return Table("gan_test", "GAN-test, an SVM trained on real images (ours)", header, rows, [note])


def _cells(trials: Sequence[Trial], names: Sequence[str]) -> list[str]:
    """Means over sets of images of value and bounds."""
    cells = []
    for name in names:
        value = np.mean([trial.measures[name] for trial in trials])
        low, high = np.mean([trial.intervals[name] for trial in trials], axis=0)
        cells.append(f"{value:.3f} [{low:.3f}, {high:.3f}]")
    return cells


def distance_table(found: Mapping[str, Mapping[str, float]], notes: Sequence[str]) -> Table:
    """Measure by data set: inception score, FID and sliced Wasserstein distances, all ours."""
    names = list(next(iter(found.values())))
    rows = [
        [data, *("–" if np.isnan(own[name]) else f"{own[name]:.4g}" for name in names)] for data, own in found.items()
    ]
    return Table("distances", "Inception score, FID, sliced Wasserstein distance (ours)", ["", *names], rows, notes)
