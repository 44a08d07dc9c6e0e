"""Features written by hand: two classes that anything can tell apart, and slices of two subsets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasgan.papers import settings_of
from kerasgan.papers.featuregan.settings import FeatureganSettings
from kerasgan.papers.featuregan.store import Extraction, FeatureSlice, FeatureStore
from kerasgan.papers.featuregan.store_writing import write

SHAPE = (4, 4, 6)
PATTERN = np.array([[0, 0, 0, 2, 2, 2], [2, 2, 2, 0, 0, 0]], np.float32)  # of class 0, LGG, and of class 1, HGG


def settings(overrides: Sequence[str], *more: str) -> FeatureganSettings:
    return settings_of("acgan", overrides=[*overrides, *more])


def pieces(train: int, test: int = 16, classes: Sequence[str] = ("LGG", "HGG")) -> list[FeatureSlice]:
    """Slices that take turns in their classes, four of a patient."""
    subsets = ["train"] * train + ["test"] * test
    return [
        FeatureSlice(
            name=f"p{i // 8}-{i % 2} axial {i}", patient=f"p{i // 8}-{i % 2}", label=classes[i % 2], subset=subset
        )
        for i, subset in enumerate(subsets)
    ]


def values(slices: Sequence[FeatureSlice], seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Never negative, as those of a block are; the first three channels are high in HGG, the others in LGG."""
    noise = np.random.default_rng(seed).normal(0.5, 0.5, (len(slices), *shape)).astype(np.float32)
    classes = np.array([int(piece.label == "HGG") for piece in slices])
    return np.maximum(noise + PATTERN[classes][:, None, None], 0)


def store(folder: Path, slices: Sequence[FeatureSlice], seed: int = 0, **changed: object) -> FeatureStore:
    """A folder of features of these slices."""
    rows = values(slices, seed)
    known = {"origin": "by hand", "data": "0a", "weights": "1b", "block": "encoder4", "shape": SHAPE}
    known |= {"dtype": "float32", "batch_size": 8, "per_shard": 32, "slices": list(slices)}
    return write(Extraction(**known | changed), lambda first: iter(rows[first:]), folder)
