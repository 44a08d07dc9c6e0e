"""Shape, intensity and texture of a tumour as numbers ("radiomics"), for a classifier that is no deep network.

The usual families of features (Zwanenburg et al. 2020, the image biomarker standardisation initiative) of 2-D slices,
less their fine print: lengths are fractions of the head's diameter and intensities are standardised by the head outside
the tumour, so that neither the image's size nor the scanner's scale counts.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import ndimage, stats
from skimage.feature import graycomatrix, graycoprops
from skimage.measure import label, regionprops

BLACK = -0.8  # of [-1, 1]: the head is what is brighter in some modality
RIM = 0.02  # width of the tumour's inner and outer rim, a fraction of the head's diameter: 3 mm of 150
BRIGHT = 2.0  # deviations of the head outside the tumour, above which a difference of modalities counts as one
LEVELS, REACH = 16, 4.0  # grey levels of the co-occurrence matrix, between -REACH and REACH deviations
POSITION = ("up", "right")  # features that mean something else in each view
VIEWS = ("axial", "coronal", "sagittal")

Features = dict[str, float]


def features(images: Mapping[str, np.ndarray], tumour: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Features of n slices, each with some tumour.

    Args:
        images: modality -> float (n, size, size) in [-1, 1].
        tumour: bool (n, size, size).

    Returns:
        The f names, and float64 (n, f), NaN where a feature is not defined (the correlation of a constant).
    """
    empty = np.flatnonzero(~tumour.any(axis=(1, 2)))
    if empty.size:
        raise ValueError(f"slice {empty[0]} has no tumour")
    rows = [_of_slice({name: image[i] for name, image in images.items()}, tumour[i]) for i in range(len(tumour))]
    return list(rows[0]), np.array([list(row.values()) for row in rows])


def of_visit(names: Sequence[str], values: np.ndarray, views: Sequence[str]) -> Features:
    """Slices (n, f) of one visit to a vector: mean, maximum and standard deviation of each feature.

    Of the tumour's position the mean in each of `VIEWS` instead.
    """
    known, views = np.ma.masked_invalid(values), np.asarray(views)
    vector: Features = {}
    for name, column in zip(names, known.T, strict=True):
        if name in POSITION:
            vector |= {f"{name} ({view})": _number(column[views == view].mean()) for view in VIEWS}
        else:
            vector |= {
                name: _number(column.mean()),
                f"{name} (max)": _number(column.max()),
                f"{name} (std)": _number(column.std()),
            }
    return vector


def _number(value: np.ma.MaskedArray | float) -> float:
    return float(np.ma.filled(value, np.nan))


def table(vectors: Sequence[Features], patients: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Vectors of visits, which may lack modalities, as a row per patient, in the order of their first visits.

    Returns the f names, and float64 (p, f): the mean over a patient's visits, NaN for what none of them has.
    """
    names = list(dict.fromkeys(name for vector in vectors for name in vector))
    rows = np.ma.masked_invalid([[vector.get(name, np.nan) for name in names] for vector in vectors])
    own = np.asarray(patients)
    means = [np.ma.filled(rows[own == patient].mean(axis=0), np.nan) for patient in dict.fromkeys(patients)]
    return names, np.array(means)


def _of_slice(images: Mapping[str, np.ndarray], tumour: np.ndarray) -> Features:
    head = head_of(images) | tumour
    diameter = 2 * np.sqrt(head.sum() / np.pi)
    width = max(1.0, RIM * diameter)
    depth = ndimage.distance_transform_edt(tumour)
    distance = ndimage.distance_transform_edt(~tumour)
    regions = {
        "tumour": tumour,
        "core": depth > width,
        "inner rim": tumour & (depth <= width),
        "outer rim": ~tumour & (distance <= width) & head,
        "rest": head & (distance > width),
    }
    found = _shape(tumour, diameter) | _position(tumour, head, diameter)
    scaled = {name: _standardised(image, regions["rest"]) for name, image in images.items()}
    for name, image in scaled.items():
        of_modality = _intensity(image, regions) | _texture(image, tumour)
        found |= {f"{name} {key}": value for key, value in of_modality.items()}
    for (m, first), (n, second) in combinations(scaled.items(), 2):
        found |= {f"{n} - {m} {key}": value for key, value in _pair(first, second, tumour).items()}
    return found


def head_of(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """The brain, or the head where the skull is not stripped: bool (size, size), the largest bright piece, filled."""
    bright = np.max(list(images.values()), axis=0) > BLACK
    pieces = label(bright)
    if not pieces.any():
        return bright
    return ndimage.binary_fill_holes(pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1)


def _standardised(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Deviations from the reference's median, in its robust standard deviations (of the quartiles)."""
    low, middle, high = np.percentile(image[reference] if reference.any() else image, [25, 50, 75])
    return (image.astype(np.float64) - middle) / max((high - low) / 1.349, 1e-3)


# ---- families of features -------------------------------------------------------------------------------------------


def _shape(tumour: np.ndarray, diameter: float) -> Features:
    (region,) = regionprops(tumour.astype(np.uint8))
    sizes = np.bincount(label(tumour).ravel())[1:]
    return {
        "area": region.area / (np.pi / 4 * diameter**2),
        "perimeter": region.perimeter / diameter,
        "circularity": 4 * np.pi * region.area / region.perimeter**2 if region.perimeter else np.nan,
        "eccentricity": region.eccentricity,
        "solidity": region.solidity,
        "extent": region.extent,
        "major axis": region.axis_major_length / diameter,
        "minor axis": region.axis_minor_length / diameter,
        "components": float(len(sizes)),
        "largest component": sizes.max() / sizes.sum(),
    }


def _position(tumour: np.ndarray, head: np.ndarray, diameter: float) -> Features:
    """Where the tumour is in the head; the midline is the column of the head's centroid."""
    (row, column), (middle_row, middle) = ndimage.center_of_mass(tumour), ndimage.center_of_mass(head)
    left = (np.nonzero(tumour)[1] < middle).mean()
    margin = ndimage.distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1][tumour] / diameter
    return {
        "up": (middle_row - row) / diameter,
        "right": (column - middle) / diameter,
        "off the midline": abs(column - middle) / diameter,
        "off the centre": np.hypot(column - middle, row - middle_row) / diameter,
        "across the midline": min(left, 1 - left),
        "nearest to the border": margin.min(),
        "distance from the border": margin.mean(),
    }


def _intensity(image: np.ndarray, regions: Mapping[str, np.ndarray]) -> Features:
    inside = image[regions["tumour"]]
    mean = {name: image[mask].mean() if mask.any() else np.nan for name, mask in regions.items()}
    gradient = ndimage.gaussian_gradient_magnitude(image, 1.0)
    edge = regions["inner rim"] | regions["outer rim"]
    p10, p50, p90 = np.percentile(inside, [10, 50, 90])
    varied = np.ptp(inside) > 1e-6
    return {
        "mean": inside.mean(),
        "std": inside.std(),
        "skewness": stats.skew(inside) if varied else np.nan,
        "kurtosis": stats.kurtosis(inside) if varied else np.nan,
        "p10": p10,
        "p50": p50,
        "p90": p90,
        "contrast to the rest": mean["tumour"] - mean["rest"],
        "inner rim - core": mean["inner rim"] - mean["core"],
        "inner - outer rim": mean["inner rim"] - mean["outer rim"],
        "outer rim - rest": mean["outer rim"] - mean["rest"],
        "edge sharpness": gradient[edge].mean(),
        "roughness": gradient[regions["tumour"]].mean(),
    }


def _texture(image: np.ndarray, tumour: np.ndarray) -> Features:
    """Of the grey-level co-occurrence matrix (Haralick 1973) of neighbours within the tumour, over four directions."""
    steps = np.clip((image + REACH) / (2 * REACH) * LEVELS, 0, LEVELS - 1).astype(np.uint8) + 1
    counts = graycomatrix(
        np.where(tumour, steps, 0).astype(np.uint8), [1], np.arange(4) * np.pi / 4, LEVELS + 1, symmetric=True
    )[1:, 1:].sum(axis=3, keepdims=True)
    if not counts.any():
        return dict.fromkeys(("texture contrast", "homogeneity", "correlation", "entropy"), np.nan)
    shares = counts / counts.sum()
    return {
        "texture contrast": graycoprops(shares, "contrast")[0, 0],
        "homogeneity": graycoprops(shares, "homogeneity")[0, 0],
        "correlation": graycoprops(shares, "correlation")[0, 0],
        "entropy": stats.entropy(shares.ravel(), base=2),
    }


def _pair(first: np.ndarray, second: np.ndarray, tumour: np.ndarray) -> Features:
    """Second less first modality: enhancement (T1e - T1), T2-FLAIR mismatch, and the like."""
    a, b = first[tumour], second[tumour]
    difference = b - a
    p10, p90 = np.percentile(difference, [10, 90])
    varied = min(np.ptp(a), np.ptp(b)) > 1e-6
    return {
        "mean": difference.mean(),
        "p10": p10,
        "p90": p90,
        "share above": (difference > BRIGHT).mean(),
        "share below": (difference < -BRIGHT).mean(),
        "correlation": np.corrcoef(a, b)[0, 1] if varied else np.nan,
    }
