"""The settings of configs/aggrgan.yaml: types, units, ranges."""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from kerasgan.data.settings import Modality, PhantomSettings, SliceSettings, SplitSettings
from kerasgan.gan.settings import Count, Decay, LatentTraining, Rate
from kerasgan.settings import Section

Names = Annotated[tuple[str, ...], Strict(False)]
Weight = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0)]


class StudySettings(Section):
    """Which images belong to a class."""

    label: str  # label column whose values are tumours
    tumours: Names  # its values, in the order of the tables
    sequence: Modality  # whose slices a tumour's are
    modalities: Annotated[
        tuple[Modality, ...], Strict(False)
    ]  # classes of the other data set, in the order of the tables
    partition: Count  # which of split.partitions


class NetworkSettings(Section):
    """What the five models' networks have in common."""

    latent: Count  # numbers of noise
    filters: Annotated[tuple[Count, ...], Strict(False), Field(min_length=1)]  # at 4 x 4, 8 x 8, ... pixels
    slope: Decay  # of LeakyReLU
    dropout: Decay  # of the discriminator
    momentum: Decay  # of batch normalisation
    epsilon: Rate


class AdamTraining(LatentTraining):
    """A run by Adam."""

    beta_1: Decay


class WgandivSettings(AdamTraining):
    """WGAN-div: a penalty on the critic's gradient."""

    critic_steps: Count
    k: Rate  # weight of the penalty
    power: Rate  # p
    points: Literal["mixed", "ends"]  # where it is taken: linear combinations of real and generated images, or both


class InfoganSettings(AdamTraining):
    """InfoGAN: codes and what they are worth."""

    categories: Count
    continuous: Annotated[int, Field(ge=0)]
    hidden: Count  # numbers between the maps and the codes
    categorical_weight: Weight
    continuous_weight: Weight


class AggregationSettings(Section):
    """Algorithm 1."""

    images: Count  # of a class
    reading: Literal["filter", "pointwise"]  # of the "Gaussian function"
    sigma: Rate  # pixels (filter), or grey levels of the edge map (pointwise)
    seed: Seed


class StyleSettings(Section):
    """Style transfer, eqs. (12) to (16)."""

    weights: str  # imagenet, a file of them, or random
    content: Weight
    style: Weight
    variation: Weight
    iterations: Count
    batch_size: Count
    seed: Seed  # of random weights


class WeightsSettings(Section):
    """With which weights the networks of keras.applications begin: imagenet, a file, or random."""

    inceptionresnetv2: str
    vgg19: str
    resnet152v2: str


class ClassificationSettings(Section):
    """The CNN study, Table 5."""

    networks: Annotated[
        tuple[Literal["inceptionresnetv2", "vgg19", "resnet152v2", "small"], ...], Strict(False), Field(min_length=1)
    ]
    weights: WeightsSettings
    split: Literal["patient", "slice"]
    epochs: Count
    batch_size: Count
    learning_rate: Rate  # of keras.applications' networks
    small_learning_rate: Rate  # of ours
    augmented: Annotated[int, Field(ge=1)]  # images per class and kind: flipped, shifted, zoomed
    shift: Annotated[float, Field(gt=0, lt=1)]  # at most, of the size
    zoom: Annotated[float, Field(gt=0, lt=1)]  # at most, in or out
    seed: Seed


class AggrganSettings(Section):
    """All of configs/aggrgan.yaml."""

    data: SliceSettings
    split: SplitSettings
    study: StudySettings
    network: NetworkSettings
    dcgan1: AdamTraining
    dcgan2: AdamTraining
    wgandiv: WgandivSettings
    lsgan: AdamTraining
    infogan: InfoganSettings
    aggregation: AggregationSettings
    style: StyleSettings
    classification: ClassificationSettings
    phantom: PhantomSettings

    @model_validator(mode="after")
    def _consistent(self) -> "AggrganSettings":
        if self.study.partition > self.split.partitions:
            raise ValueError(f"study.partition must be one of split.partitions: 1 to {self.split.partitions}")
        if self.infogan.categories + self.infogan.continuous >= self.network.latent:
            raise ValueError("network.latent must be larger than infogan.categories + infogan.continuous")
        return self
