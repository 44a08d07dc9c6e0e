"""Simulated 3-D brain MR images with brain tumours: the data of the first run, of tests and of demonstrations.

`simulate_cohort` writes patients in BraTS layout, `simulate_patient` returns one as arrays. The images come from an
anatomical model (`anatomy`), a tumour (`tumour` for gliomas, `meningioma`, `pituitary`) and the MR signal equations
(`signal`); nothing in them is real patient data. Each part can be replaced alone: an anatomy gives tissue fractions at
points, a lesion changes fractions and gives labels, and one table holds the tissues' parameters. A 240 x 240 x 155
patient takes about four seconds on one core.
"""

from kerasgan.phantom.cohort import TUMOURS, Patient, choose_labels, simulate_cohort, simulate_patient

__all__ = ["TUMOURS", "Patient", "choose_labels", "simulate_cohort", "simulate_patient"]
