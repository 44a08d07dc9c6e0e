"""The settings of configs/brainmr.yaml: types, units, ranges."""

from typing import Annotated

from pydantic import Field, Strict, model_validator

from kerasgan.data.settings import PhantomSettings, SliceSettings, SplitSettings
from kerasgan.gan.settings import Count, Decay, LatentTraining, Rate
from kerasgan.settings import Section

Seed = Annotated[int, Field(ge=0)]


class StudySettings(Section):
    """Whose slices are learnt (3.1, 3.2.1)."""

    label: str | None  # label column by which patients are chosen; None: all
    value: str  # its value
    held_out: bool  # learn from the training patients alone, so that there are real images that the GAN has not seen
    partition: Count  # which of split.partitions


class NetworkSettings(Section):
    """Generator and critic (3.2.2)."""

    latent: Count  # numbers of noise
    filters: Annotated[tuple[Count, ...], Strict(False), Field(min_length=1)]  # at 4 x 4, 8 x 8, ... pixels
    momentum: Decay  # of batch normalisation
    epsilon: Rate


class SteppedTraining(LatentTraining):
    """A run whose epochs are blocks of steps, not passes over the data."""

    steps_per_epoch: Count  # of the generator


class DcganSettings(SteppedTraining):
    """DCGAN: Adam."""

    beta_1: Decay


class WganSettings(SteppedTraining):
    """WGAN: RMSprop, weight clipping."""

    rho: Decay
    clip: Rate
    critic_steps: Count


class TuringSettings(Section):
    """The Visual Turing Test (3.3)."""

    images: Count  # real ones, and as many synthetic
    seed: Seed


class ComparisonSettings(Section):
    """How real and synthetic images are compared."""

    images: Count
    seeds: Count
    c2st_epochs: Count
    encoder_epochs: Count
    neighbours: Count
    seed: Seed


class BrainmrSettings(Section):
    """All of configs/brainmr.yaml."""

    data: SliceSettings
    split: SplitSettings
    study: StudySettings
    network: NetworkSettings
    dcgan: DcganSettings
    wgan: WganSettings
    turing: TuringSettings
    comparison: ComparisonSettings
    phantom: PhantomSettings

    @model_validator(mode="after")
    def _consistent(self) -> "BrainmrSettings":
        if self.study.partition > self.split.partitions:
            raise ValueError(f"study.partition must be one of split.partitions: 1 to {self.split.partitions}")
        return self
