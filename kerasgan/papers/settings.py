"""What the configurations of all papers have in common."""

from typing import Annotated

from pydantic import Strict, model_validator

from kerasgan.data.settings import Modality, PhantomSettings, SliceSettings, SplitSettings
from kerasgan.settings import Count, Section

Modalities = Annotated[tuple[Modality, ...], Strict(False)]


class StudySettings(Section):
    """On which patients."""

    partition: Count  # which of split.partitions


class TwoClasses(StudySettings):
    """Patients of two classes."""

    label: str  # the column that holds the class
    negative: str  # its value for class 0
    positive: str  # its value for class 1

    @model_validator(mode="after")
    def _distinct(self) -> "TwoClasses":
        if self.negative == self.positive:
            raise ValueError("negative and positive must differ")
        return self

    @property
    def classes(self) -> tuple[str, str]:
        """Values of the label column: class 0, class 1."""
        return self.negative, self.positive


class PaperSettings(Section):
    """All of a paper's configs/PAPER.yaml; each paper adds its own sections."""

    data: SliceSettings
    split: SplitSettings
    study: StudySettings
    phantom: PhantomSettings

    @model_validator(mode="after")
    def _has_the_partition(self) -> "PaperSettings":
        if self.study.partition > self.split.partitions:
            raise ValueError(f"study.partition must be one of split.partitions: 1 to {self.split.partitions}")
        return self
