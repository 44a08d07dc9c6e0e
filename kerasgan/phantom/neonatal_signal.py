"""MR signal of neonates: much water, hardly any myelin, so that white matter is darker than grey matter on T1.

At 3 T the relaxation rates of frontal grey matter exceed those of frontal white matter by 0.3 (R1) and 0.8 (R2) of the
latter (Williams et al. 2005, Radiology 235:595); in adults it is the other way round. The ratios of "grey" and
"immature" are these; the values themselves, and those of all other tissues, are assumed: they give the contrast that
T1- and T2-weighted images of newborns have. What is not listed is as in adults. The echo of the T2-weighted image is
long, as T2 is.
"""

from collections.abc import Mapping

from kerasgan.phantom.signal import TISSUES, Sequence, Tissue

NEONATAL_TISSUES: Mapping[str, Tissue] = {
    **TISSUES,
    "white": Tissue(2560, 190, 0.92),
    "immature": Tissue(2700, 240, 0.92),  # white matter of the frontal lobe and of the crossroads of fibres
    "grey": Tissue(2077, 133, 0.88),
    "striatum": Tissue(2020, 138, 0.88),
    "pallidum": Tissue(1950, 132, 0.87),
    "myelin": Tissue(1500, 105, 0.84),  # internal capsule, brain stem
    "skull": Tissue(1500, 20, 0.35),
    "scalp": Tissue(850, 45, 0.80),
    "base": Tissue(1700, 70, 0.80),  # of the skull, with the orbits
}

NEONATAL_SEQUENCES: Mapping[str, Sequence] = {
    "t1": Sequence(500, 10, water=-0.015),
    "t2": Sequence(8000, 150, water=0.05),
}
