"""The settings of configs/pairwise.yaml: types, units, ranges."""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from kerasgan.data.settings import Modality
from kerasgan.gan.settings import TrainingSettings
from kerasgan.papers import settings as papers
from kerasgan.settings import Confidence, Count, Counts, Decay, Rate, Section, Seed, Share, Weight

Sources = Annotated[tuple[Modality, ...], Strict(False), Field(min_length=1)]
Shift = Annotated[float, Field(ge=0, le=0.5)]  # fraction of height and width
LEVELS = 4  # of the GAN's networks, each of which halves the image


class StudySettings(papers.StudySettings):
    """Which of the study's training sets (III-A2, Figure 6)."""

    case: Literal["a", "b"]  # a: all scans of the training patients (S1); b: with scans removed (S3)
    removed: Annotated[float, Field(gt=0, le=0.25)]  # of the training patients, per modality, in case b


class LossSettings(Section):
    """Equations (3) and (4)."""

    l1_weight: Weight  # lambda_1
    mask_background: Share  # of a pixel outside the tumour; 1 inside


class PairwiseTraining(TrainingSettings):
    """Algorithm 1's run."""

    epochs: Count
    learning_rate: Rate
    beta_1: Decay
    flip: bool  # left-right, with probability 1/2
    shift: Shift
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


class StreamSettings(Section):
    """The classifier's network (II-D1, Figure 5)."""

    filters: Counts  # of each stream's convolutions
    downsample_after: Annotated[tuple[Count, ...], Strict(False)]  # convolutions, counted from 1
    downsample: Literal["pool", "stride"]  # 2 x 2 maximum, or that convolution's stride
    momentum: Decay  # of batch normalisation's running statistics
    signed_sqrt: bool  # of the bilinear features
    dense: Counts  # neurons of the hidden layers

    @model_validator(mode="after")
    def _within(self) -> "StreamSettings":
        if not all(number <= len(self.filters) for number in self.downsample_after):
            raise ValueError(f"downsample_after must name convolutions 1 to {len(self.filters)}")
        return self


class StageSettings(Section):
    """One stage of training: the k-th rate until the end of epoch `until[k]`, the last one to the end."""

    epochs: Count
    learning_rates: Annotated[tuple[Rate, ...], Strict(False), Field(min_length=1)]
    until: Annotated[tuple[Count, ...], Strict(False)]

    @model_validator(mode="after")
    def _stepwise(self) -> "StageSettings":
        if len(self.until) != len(self.learning_rates) - 1 or sorted(set(self.until)) != list(self.until):
            raise ValueError("until must ascend and have one number less than learning_rates")
        return self


class ClassifierSettings(TrainingSettings):
    """The four-stream classifier: II-D, III-A1, eq. (6)."""

    modalities: Sources  # one stream each
    label: str  # the column that holds the class
    positive: str  # its value for IDH1 mutation
    negative: str  # its value for IDH1 wild-type
    mask_background: Share  # factor of the image outside the tumour; 1 inside
    positive_weight: Rate  # of the loss
    negative_weight: Rate
    flip: bool
    shift: Shift
    optimizer: Literal["keras2_adagrad", "adam"]
    stage1: StageSettings
    stage2: StageSettings
    best_by: Literal["accuracy", "loss"]  # of the validation slices: which epoch's weights are kept
    vote: Literal["majority", "mean"]  # of a patient's slices
    flipped_too: bool  # test-time augmentation: the mean of a slice and its mirror image
    network: StreamSettings


class AutoencoderSettings(TrainingSettings):
    """The autoencoder whose features DAEF compares (III-E2)."""

    filters: Counts
    strides: Counts
    epochs: Count
    learning_rate: Rate

    @model_validator(mode="after")
    def _paired(self) -> "AutoencoderSettings":
        if self.strategy != "none":
            raise ValueError("strategy must be none: the autoencoder is trained on one device")
        if len(self.strides) != len(self.filters):
            raise ValueError("strides and filters must have the same number of layers")
        return self


class EvaluationSettings(Section):
    """Uncertainty of what is measured on patients."""

    bootstrap: Count  # samples of patients
    permutations: Count  # of the paired test
    confidence: Confidence
    seed: Seed


class PairwiseSettings(papers.PaperSettings):
    """All of configs/pairwise.yaml."""

    study: StudySettings
    loss: LossSettings
    training: PairwiseTraining
    synthesis: SynthesisSettings
    classifier: ClassifierSettings
    autoencoder: AutoencoderSettings
    evaluation: EvaluationSettings

    @model_validator(mode="after")
    def _fits_the_networks(self) -> "PairwiseSettings":
        if self.data.size % 2**LEVELS:
            raise ValueError(f"data.size must be a multiple of {2**LEVELS} for the networks of Figure 3")
        return self
