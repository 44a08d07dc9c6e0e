"""Classes of stored features as numbers."""

import numpy as np

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.settings import StudySettings
from kerasgan.papers.featuregan.store import FeatureStore


def labels_of(store: FeatureStore, study: StudySettings, subset: str) -> np.ndarray:
    """The class of every slice, int32 0 or 1; -1 for slices of other subsets, whose classes are not looked at.

    A class that the study does not name is a UserError.
    """
    labels = np.full(store.count, -1, np.int32)
    for index in store.indices(subset):
        piece = store.extraction.slices[index]
        if piece.label not in study.classes:
            raise UserError(
                f"{store.folder}: slice {piece.name} is of class {piece.label!r}, expected {study.negative!r} or "
                f"{study.positive!r}: give --set study.negative and study.positive, or extract the features anew"
            )
        labels[index] = study.classes.index(piece.label)
    return labels


def labels_of_both(store: FeatureStore, study: StudySettings, subset: str) -> np.ndarray:
    """As `labels_of`; a class that has no slice in the subset is a UserError too."""
    labels = labels_of(store, study, subset)
    for k, name in enumerate(study.classes):
        if not (labels == k).any():
            raise UserError(
                f"{store.folder} has no {subset} feature of class {name}; both classes are needed: add patients, or "
                "split the data by class, and extract the features anew"
            )
    return labels
