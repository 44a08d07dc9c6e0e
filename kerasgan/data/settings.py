"""What decides how files become slices, and which patient is in which subset."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_serializer, model_validator

from kerasgan.settings import Count, Part, Section, Seed, Share

View = Literal["axial", "coronal", "sagittal"]
Modality = Literal["t1", "t1e", "t2", "flair"]
Tumour = Literal["glioma", "meningioma", "pituitary"]
Head = Literal["adult", "neonate"]
Fraction = Annotated[float, Field(gt=0, lt=1)]
FOLD_TOLERANCE = 5e-4  # of a share written with three decimals: 0.333


class SliceSettings(Section):
    """From a volume to 2-D slices."""

    size: Annotated[int, Field(ge=16, le=1024)]  # pixels, height = width
    views: Annotated[tuple[View, ...], Strict(False), Field(min_length=1)]
    selection: Literal["largest_tumour", "every_tumour", "range"]
    slices_per_view: Count  # of largest_tumour
    min_gap: Count  # slices, of largest_tumour
    slice_range: Annotated[tuple[float, float], Strict(False)]  # of range: first and last as fractions of the axis
    aspect: Literal["keep", "stretch"]  # pad the slice to a square first, or stretch it to one
    percentiles: Annotated[tuple[float, float], Strict(False)]  # of the brain's voxels, mapped to -1 and 1
    # Pixels, height = width, that a slice is fitted to before its four corner patches of `size` are cut from it. None,
    # and a file without this key, such as the configuration of an older run: the slice is fitted to `size` and not cut.
    frame: Annotated[int, Field(ge=16, le=2048)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "SliceSettings":
        if len(set(self.views)) < len(self.views):
            raise ValueError("views must differ")
        for name, (low, high), top in (("percentiles", self.percentiles, 100), ("slice_range", self.slice_range, 1)):
            if not 0 <= low < high <= top:
                raise ValueError(f"{name} must be two ascending numbers between 0 and {top}")
        if self.frame is not None and not self.size <= self.frame <= 2 * self.size:
            raise ValueError(
                f"frame must lie between size, {self.size}, and twice that, so that patches of size fit into it and "
                f"cover it: raise frame or lower size, or set frame to null to cut no patches"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_frame(self, write: Callable[["SliceSettings"], dict[str, Any]]) -> dict[str, Any]:
        """Whole slices as written before there were patches: data prepared and runs begun then stay what they are."""
        return {name: value for name, value in write(self).items() if name != "frame" or value is not None}


class SplitSettings(Section):
    """Which share of the patients is in which subset."""

    train: Fraction
    validation: Part  # 0: no patient, where a study validates on others
    test: Fraction
    scheme: Literal["random", "folds"]  # each partition drawn anew, or every patient tested in one of them
    partitions: Count  # numbered from 1
    stratify: str | None  # label column whose classes keep their shares, where the cohort has it
    seed: Seed

    @model_validator(mode="after")
    def _whole(self) -> "SplitSettings":
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train, validation and test must add up to 1")
        if self.scheme == "folds" and (self.partitions < 2 or abs(self.test - 1 / self.partitions) > FOLD_TOLERANCE):
            raise ValueError(
                "scheme folds tests every patient once, so there must be at least 2 partitions, and test must be 1 / "
                f"partitions: {1 / self.partitions:.4g} for {self.partitions}"
            )
        return self


class PhantomSettings(Section):
    """The simulated cohort that a command uses when it is given no data."""

    patients: Annotated[int, Field(ge=6)]
    grid: Annotated[int, Field(ge=32, le=480)]  # voxels across the field of view: 240 mm, of a neonate 160 mm
    idh_fraction: Share  # of gliomas; not used for neonates
    strength: Share  # of the label's signs in the image: IDH, of neonates the class
    seed: Seed
    # Dealt equally. A file without this key, such as the configuration of an older run, means gliomas.
    tumours: Annotated[tuple[Tumour, ...], Strict(False), Field(min_length=1)] = ("glioma",)
    # Neonates are abnormal or normal and have no tumour. A file without this key, as above, means adults.
    head: Head = "adult"

    @model_validator(mode="after")
    def _distinct(self) -> "PhantomSettings":
        if len(set(self.tumours)) < len(self.tumours):
            raise ValueError("tumours must differ")
        if self.head == "neonate" and self.tumours != ("glioma",):
            raise ValueError("tumours are of adult heads, neonates have none: leave tumours out, or set head to adult")
        return self

    @model_serializer(mode="wrap")
    def _without_head(self, write: Callable[["PhantomSettings"], dict[str, Any]]) -> dict[str, Any]:
        """Adults as they were written before there were neonates: cohorts that lie in the cache are found again."""
        return {name: value for name, value in write(self).items() if name != "head" or value != "adult"}
