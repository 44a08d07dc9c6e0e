"""How far generated images are from real ones, by thumbnails of them: quick, and without another network."""

import numpy as np

from kerasgan.data.imagesets import ImageSet, shrunk
from kerasgan.metrics.kernel_distance import squared_mmd
from kerasgan.metrics.two_sample import nearest_neighbour_decisions

PIXELS = 16  # height and width of a thumbnail, at most
MEASURES = ("kernel_distance", "nearest_neighbour", "spread", "spread_of_real")
# Of the curves in a run's report.
PANELS = {
    f"squared kernel distance of {PIXELS}x{PIXELS} thumbnails; 0: alike": ["kernel_distance"],
    "accuracy of 1-NN, real or synthetic; 0.5: chance": ["nearest_neighbour"],
    "standard deviation of a pixel; 0: all images alike": ["spread", "spread_of_real"],
}
# Of the table in a run's report.
MEANING = (
    "kernel distance: 0 where they are alike; nearest neighbour: 0.5 is chance, 1 where each is told; spread: the mean "
    "standard deviation of a pixel, 0 where all images are one"
)


def compared(real: ImageSet, fake: np.ndarray) -> dict[str, float]:
    """MEASURES of generated images (n, h, w) and as many real ones of two patients at least.

    kernel_distance is the squared maximum mean discrepancy, as in KID; it falls towards 0. nearest_neighbour is the
    accuracy with which the nearest image of other patients tells real from synthetic; 0.5 is chance. `spread`, the
    mean standard deviation of a pixel, is near 0 at mode collapse.
    """
    size = min(PIXELS, real.images.shape[1])
    own, made = (shrunk(images, size).reshape(len(images), -1) for images in (real.images, np.clip(fake, -1, 1)))
    return {
        "kernel_distance": squared_mmd(own, made),
        "nearest_neighbour": _nearest_neighbour(own, made, real.groups),
        "spread": float(made.std(axis=0).mean()),
        "spread_of_real": float(own.std(axis=0).mean()),
    }


def _nearest_neighbour(real: np.ndarray, fake: np.ndarray, patients: tuple[str, ...]) -> float:
    """Every second patient and every second synthetic image are known, the others judged; classes weigh alike."""
    known = np.unique(patients, return_inverse=True)[1] % 2 == 0
    train, test = (np.concatenate([real[own], fake[i::2]]) for i, own in enumerate((known, ~known)))
    learnt, truth = (np.repeat([0, 1], [own.sum(), len(fake[i::2])]) for i, own in enumerate((known, ~known)))
    right = nearest_neighbour_decisions(train, learnt, test) == truth
    return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))
