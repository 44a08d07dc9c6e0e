"""The slices that the U-Net learns from and takes features of: every slice of every patient (section 3.5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import tensorflow as tf

from kerasgan.data import pipeline, records
from kerasgan.data.labels import class_of
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.errors import UserError
from kerasgan.papers.featuregan.settings import StudySettings
from kerasgan.papers.featuregan.standardisation import Moments, Standard

BATCH = 32  # slices that are read at once


@dataclass(frozen=True)
class Slices:
    """The slices of some patients of a prepared folder."""

    prepared: Prepared
    visits: list[PreparedVisit]
    modalities: tuple[str, ...]

    @classmethod
    def of(cls, prepared: Prepared, study: StudySettings, subset: str) -> "Slices":
        """Those of a subset; a patient without segmentation, or of no class, is a `UserError`, and so is one class."""
        visits = prepared.visits(subset, study.partition, study.modalities)
        for visit in visits:
            if "segmentation" not in visit.sources:
                raise UserError(
                    f"{visit.name} has no segmentation, which the U-Net learns from and is measured by; add it to the "
                    "cohort's CSV, or leave the visit out, and prepare the cohort again"
                )
        if len({class_of(visit, study, "study") for visit in visits}) < 2:
            only = visits[0].labels[study.label]
            raise UserError(
                f"{prepared.folder}: every {subset} patient of partition {study.partition} has {study.label}={only}; "
                f"both classes are needed: stratify the split (--set split.stratify={study.label} when preparing), or "
                "add patients"
            )
        return cls(prepared, visits, study.modalities)

    @property
    def count(self) -> int:
        return pipeline.count_slices(self.visits)

    @cached_property
    def patients(self) -> np.ndarray:
        """Whose each slice is, (n,)."""
        return np.repeat([visit.patient for visit in self.visits], [len(visit.slices) for visit in self.visits])

    def examples(self) -> tf.data.Dataset:
        """Each slice as `image`, uint16 (size, size, channels), and `mask`, uint8 0 or 1 (size, size, 1)."""
        stored = pipeline.slices_of(self.prepared, self.visits, self.modalities)
        return stored.map(
            lambda each: {
                "image": tf.concat([each[name] for name in self.modalities], axis=-1),
                "mask": tf.cast(each["segmentation"] > 0, tf.uint8),
            }
        )

    def batches(self, batch_size: int = BATCH, first: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images float32 (n, size, size, channels) in [0, 1] and masks bool (n, size, size), from a slice on."""
        for batch in self.examples().skip(first).batch(batch_size).prefetch(1):
            yield unit(batch["image"]).numpy(), batch["mask"].numpy()[..., 0] > 0

    def measured(self) -> Standard:
        """Mean and deviation of each channel over all pixels of all slices (3.5)."""
        return Standard.of(reduce(Moments.merged, (Moments.of(image) for image, _ in self.batches())))


def unit(image: tf.Tensor) -> tf.Tensor:
    """Stored uint16 to float32 in [0, 1]."""
    return tf.cast(image, tf.float32) / records.WHITE
