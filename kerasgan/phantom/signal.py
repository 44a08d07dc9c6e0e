"""MR signal of tissue mixtures: relaxation parameters, sequences, coil sensitivity, resolution and noise.

Relaxation times at 3 T in ms, proton density (PD) relative to water:

- White and grey matter: T1 and T2 of Wansapura et al. 1999 (J Magn Reson Imaging 9:531), T1 confirmed by Marques et
  al. 2010 (NeuroImage 49:1271: 0.81 and 1.35 s). CSF: T1 about 4.2 s and T2 about 2 s, as pure water. PD as in BrainWeb
  (Kwan et al. 1999, IEEE Trans Med Imaging 18:1085): white 0.77, grey 0.86, CSF 1. Bojorquez et al. 2017 (Magn Reson
  Imaging 35:69) review how far published values spread (white matter T1: 699 to 1735 ms).
- Blood: T1 of Stanisz et al. 2005 (Magn Reson Med 54:507); its T2 is shortened to stand for the flow void.
- Deep grey matter lies between white and grey, its T2 shortened by iron (Gelman et al. 1999, Radiology 210:759).
- Oedema, tumours and necrosis: assumed. T1, T2 and PD rise with the water content (Just and Thelen 1988, Radiology
  169:779); the values are chosen so that each looks as radiology describes it, relative to white matter, meningioma and
  pituitary adenoma relative to grey matter.
- Contrast agent: relaxivities of gadopentetate in plasma at 3 T, Rohrer et al. 2005 (Invest Radiol 40:715); the
  concentrations are assumed, for the usual look of an enhanced image.

Sequences are spin echo, PD (1 - exp(-TR/T1)) exp(-TE/T2), and with an inversion pulse, PD |1 - 2 exp(-TI/T1) +
exp(-TR/T1)| exp(-TE/T2) (Bernstein, King and Zhou 2004, Handbook of MRI Pulse Sequences, chapter 14).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from kerasgan.phantom.shapes import Field, random_field


@dataclass(frozen=True)
class Tissue:
    """T1 and T2 in ms, proton density 0 to 1, and the contrast agent (mmol/l) that reaches it in an enhanced scan."""

    t1: float
    t2: float
    density: float
    agent: float = 0.0


TISSUES: Mapping[str, Tissue] = {
    "white": Tissue(832, 79.6, 0.77),
    "grey": Tissue(1331, 110, 0.86),
    "csf": Tissue(4163, 2000, 1.0),
    "ventricle": Tissue(4163, 2000, 1.0),
    "striatum": Tissue(1250, 90, 0.84),
    "pallidum": Tissue(1000, 62, 0.80),
    "gliosis": Tissue(1350, 140, 0.86),
    "vessel": Tissue(1932, 40, 0.85, agent=3.0),
    "plexus": Tissue(1500, 200, 0.9, agent=1.2),
    "oedema": Tissue(1450, 160, 0.88),
    "tumour": Tissue(1700, 165, 0.91),
    "microcystic": Tissue(2700, 260, 0.96),
    "enhancing": Tissue(1500, 120, 0.88, agent=0.7),
    "necrosis": Tissue(2300, 300, 0.97),
    "meningioma": Tissue(1380, 112, 0.87, agent=0.9),
    "adenoma": Tissue(1400, 115, 0.87, agent=0.3),
}

RELAXIVITY_1, RELAXIVITY_2 = 3.7, 5.2  # per second and mmol/l


@dataclass(frozen=True)
class Sequence:
    """Times in ms; without `inversion` there is no inversion pulse. `enhanced`: after contrast agent.

    `water` is the relative change of signal where the water content is one standard deviation above its tissue's mean.
    """

    repetition: float
    echo: float
    water: float
    inversion: float | None = None
    enhanced: bool = False


SEQUENCES: Mapping[str, Sequence] = {
    "t1": Sequence(500, 10, water=-0.02),
    "t1e": Sequence(500, 10, water=-0.02, enhanced=True),
    "t2": Sequence(5000, 100, water=0.03),
    # The inversion time nulls CSF: T1 (ln 2 - ln(1 + exp(-TR/T1))) = 2432 ms.
    "flair": Sequence(9000, 110, water=0.03, inversion=2432),
}


def signal(sequence: Sequence, tissue: Tissue) -> float:
    """The signal of one tissue in one sequence, 0 to 1."""
    agent = tissue.agent if sequence.enhanced else 0.0
    rate_1 = 1 / tissue.t1 + RELAXIVITY_1 * agent / 1000
    rate_2 = 1 / tissue.t2 + RELAXIVITY_2 * agent / 1000
    recovered = 1 - np.exp(-sequence.repetition * rate_1)
    if sequence.inversion is not None:
        recovered = abs(recovered + 2 * (np.exp(-sequence.repetition * rate_1) - np.exp(-sequence.inversion * rate_1)))
    return float(tissue.density * recovered * np.exp(-sequence.echo * rate_2))


def rician(magnitude: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """The magnitude of a complex signal with Gaussian noise `sigma` in both channels (Gudbjartsson and Patz 1995)."""
    real, imaginary = rng.standard_normal((2, *magnitude.shape), dtype=np.float32) * np.float32(sigma)
    return np.hypot(magnitude + real, imaginary)


@dataclass(frozen=True)
class Scan:
    """How one image was taken: what differs between scanners and protocols. `draw_scan` makes it."""

    gain: float  # scanner units of white matter
    noise: float  # standard deviation relative to white matter
    blur: tuple[float, float, float]  # standard deviation of the point spread, mm; the last is through the slice
    bias: Field  # logarithm of the coil's sensitivity, in units of BIAS


BIAS = 0.08


def draw_scan(rng: np.random.Generator) -> Scan:
    """A random scan: white matter at 150 to 1500 units, signal to noise 25 to 60, three in ten with thick slices."""
    thick = rng.random() < 0.3
    return Scan(
        gain=float(np.clip(rng.lognormal(np.log(500), 0.5), 150, 1500)),
        noise=1 / rng.uniform(25, 60),
        blur=(0.55, 0.55, rng.uniform(1, 2) if thick else 0.55),
        bias=random_field(rng, 200, 0.5, cells=32),
    )


def acquire(
    sequence: Sequence,
    scan: Scan,
    fractions: Mapping[str, np.ndarray],
    water: np.ndarray,
    points: np.ndarray,
    region: np.ndarray,
    voxel: float,
    rng: np.random.Generator,
    tissues: Mapping[str, Tissue] = TISSUES,
) -> np.ndarray:
    """The image (n) int16, at least 1, of the n voxels of `region` (i, j, k, bool) at `points` (3, n), `voxel` mm wide.

    `fractions` are the tissues' shares (n) of each voxel, which add their signals, and `water` (n) is the local
    deviation of the water content in standard deviations. `tissues` has the parameters, of "white" too, whose signal
    is the unit.
    """
    white = signal(sequence, tissues["white"])
    mean = sum(share * np.float32(signal(sequence, tissues[name]) / white) for name, share in fractions.items())
    volume = np.zeros(region.shape, np.float32)
    volume[region] = mean * (1 + np.float32(sequence.water) * water)
    resolved = ndimage.gaussian_filter(volume, [blur / voxel for blur in scan.blur], truncate=3)[region]
    noisy = rician(resolved * np.exp(np.float32(BIAS) * scan.bias(points)), scan.noise, rng)
    return np.clip(np.rint(noisy * np.float32(scan.gain)), 1, np.iinfo(np.int16).max).astype(np.int16)
