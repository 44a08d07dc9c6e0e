"""The settings of configs/pairwise.yaml: types, units, ranges."""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from kerasgan.data.settings import PhantomSettings, SliceSettings, SplitSettings
from kerasgan.gan.settings import Count, TrainingSettings
from kerasgan.settings import Section

Sources = Annotated[tuple[Literal["t1", "t1e", "t2", "flair"], ...], Strict(False), Field(min_length=1)]
LEVELS = 4  # of the networks, each of which halves the image


class LossSettings(Section):
    """Equations (3) and (4)."""

    l1_weight: Annotated[float, Field(ge=0)]  # lambda_1
    mask_background: Annotated[float, Field(ge=0, le=1)]  # weight of a pixel outside the tumour; 1 inside


class PairwiseTraining(TrainingSettings):
    """Algorithm 1's run."""

    learning_rate: Annotated[float, Field(gt=0)]
    beta_1: Annotated[float, Field(ge=0, lt=1)]
    partition: Count  # which of split.partitions
    flip: bool  # left-right, with probability 1/2
    shift: Annotated[float, Field(ge=0, le=0.5)]  # fraction of height and width
    keep: Literal["latest", "best"]  # which epoch's generators the run delivers
    validate_every: Count  # epochs
    sample_every: Count  # epochs


class SynthesisSettings(Section):
    """For each modality, from which it is made when it is missing: the first that the patient has."""

    t1: Sources
    t1e: Sources
    t2: Sources
    flair: Sources

    @model_validator(mode="after")
    def _from_others(self) -> "SynthesisSettings":
        for target, sources in self:
            if target in sources:
                raise ValueError(f"{target} cannot be made from itself")
        return self


class PairwiseSettings(Section):
    """All of configs/pairwise.yaml."""

    data: SliceSettings
    split: SplitSettings
    loss: LossSettings
    training: PairwiseTraining
    synthesis: SynthesisSettings
    phantom: PhantomSettings

    @model_validator(mode="after")
    def _fits_the_networks(self) -> "PairwiseSettings":
        if self.data.size % 2**LEVELS:
            raise ValueError(f"data.size must be a multiple of {2**LEVELS} for the networks of Figure 3")
        return self
