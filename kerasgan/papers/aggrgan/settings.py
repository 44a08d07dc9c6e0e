"""The settings of configs/aggrgan.yaml: types, units, ranges."""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from kerasgan.data.settings import Modality
from kerasgan.gan.settings import LatentTraining
from kerasgan.papers import settings as papers
from kerasgan.settings import Count, Counts, Decay, Natural, Part, Rate, Section, Seed, Weight

Names = Annotated[tuple[str, ...], Strict(False)]
# A convolution of VGG-19 by its name in keras.applications: block4_conv2 is the paper's 4_2.
Convolution = Annotated[str, Field(pattern=r"^block([12]_conv[12]|[345]_conv[1-4])$")]


class StudySettings(papers.StudySettings):
    """Which images belong to a class."""

    label: str  # label column whose values are tumours
    tumours: Names  # its values, in the order of the tables
    sequence: Modality  # whose slices a tumour's are
    modalities: papers.Modalities  # classes of the other data set, in the order of the tables


class NetworkSettings(Section):
    """What the five models' networks have in common."""

    latent: Count  # numbers of noise
    filters: Counts  # at 4 x 4, 8 x 8, ... pixels
    slope: Part  # of LeakyReLU
    dropout: Part  # of the discriminator
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
    continuous: Natural
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
    style_layers: Annotated[tuple[Convolution, ...], Strict(False), Field(min_length=1)]  # of eq. (14)
    content_layer: Convolution  # of eq. (12)
    content: Weight
    style: Weight
    variation: Weight
    iterations: Count
    batch_size: Count
    seed: Seed  # of random weights


class MeasureSettings(Section):
    """Of Tables 1 to 4, eqs. (1) to (7)."""

    epsilon: Rate  # added to the share of each grey level, eq. (4)


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
    augmented: Count  # images per class and kind: flipped, shifted, zoomed
    shift: Annotated[float, Field(gt=0, lt=1)]  # at most, of the size
    zoom: Annotated[float, Field(gt=0, lt=1)]  # at most, in or out
    seed: Seed


class AggrganSettings(papers.PaperSettings):
    """All of configs/aggrgan.yaml."""

    study: StudySettings
    network: NetworkSettings
    dcgan1: AdamTraining
    dcgan2: AdamTraining
    wgandiv: WgandivSettings
    lsgan: AdamTraining
    infogan: InfoganSettings
    aggregation: AggregationSettings
    style: StyleSettings
    measures: MeasureSettings
    classification: ClassificationSettings

    @model_validator(mode="after")
    def _consistent(self) -> "AggrganSettings":
        if self.infogan.categories + self.infogan.continuous >= self.network.latent:
            raise ValueError("network.latent must be larger than infogan.categories + infogan.continuous")
        return self
