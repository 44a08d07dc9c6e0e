"""Simulated 3-D brain MR images of adults with tumours and of neonates: for the first run, tests and demonstrations.

`simulate_cohort` writes patients in BraTS layout, `simulate_patient` returns one as arrays. The images come from an
anatomical model (`anatomy`), a tumour (`tumour` for gliomas, `meningioma`, `pituitary`) and the MR signal equations
(`signal`); nothing in them is real patient data. Each part can be replaced alone: an anatomy gives tissue fractions at
points, a lesion (with `outline`, `displace` and `invade`, as `tumour.Glioma`) changes them and gives labels, and one
table holds the tissues' parameters. A 240 x 240 x 155 patient takes about four seconds on one core. Neonates
(`simulate_neonate`) have an anatomy (`neonatal_anatomy`) and tissues (`neonatal_signal`) of their own, and a class
instead of a tumour.
"""

from kerasgan.phantom.cohort import TUMOURS, choose_labels, simulate_cohort, simulate_neonate, simulate_patient
from kerasgan.phantom.neonates import CLASSES
from kerasgan.phantom.patient import Patient

__all__ = [
    "CLASSES",
    "TUMOURS",
    "Patient",
    "choose_labels",
    "simulate_cohort",
    "simulate_neonate",
    "simulate_patient",
]
