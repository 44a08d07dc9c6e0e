"""How any model of the package is trained: the settings that are not one paper's own."""

from typing import Literal

from kerasgan.settings import Count, Decay, Rate, Section, Seed


class TrainingSettings(Section):
    """Seed, device and bookkeeping of a training run."""

    batch_size: Count
    seed: Seed
    precision: Literal["float32", "mixed_bfloat16"]
    jit: bool  # XLA
    strategy: Literal["none", "mirrored", "multiworker"]  # tf.distribute
    deterministic: bool  # bit-equal repetition on GPUs too
    checkpoint_every: Count  # epochs


class LatentTraining(TrainingSettings):
    """A run of a GAN from noise."""

    learning_rate: Rate
    epochs: Count
    average: Decay  # of the generator's running average, which is delivered instead; 0 is off
    validate_every: Count  # epochs
    sample_every: Count  # epochs
